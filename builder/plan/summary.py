"""What a manifest file would build, in the little that comparing and listing many of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from builder.cost.work import work
from builder.digest import Digest
from builder.plan.step import Plan


class StepLine(NamedTuple):
    """``needs``: the names of the steps that it waits for. ``work``: as ``cost.work.work`` gives it."""

    name: str
    toolchain: str
    key: Digest
    needs: tuple[str, ...]
    work: float


@dataclass(frozen=True)
class PlanLine:
    """A plan of one variant; ``predicted`` as ``predict.manifest.predicted`` gives it."""

    name: str
    digest: Digest
    steps: tuple[StepLine, ...]
    predicted: Mapping[str, Any]


@dataclass(frozen=True)
class Summary:
    """A manifest file: the family's name and version, and a plan a variant, in their order.

    ``select``: its section of that name as JSON, None if it has none. It decides which variants are released, and is in
    no plan.
    """

    name: str
    version: str
    plans: tuple[PlanLine, ...]
    select: str | None = None


@dataclass(frozen=True)
class Texts:
    """A manifest file as bytes, with its lock's if it has one; ``path`` is what errors call it."""

    path: str
    manifest: bytes
    lock: bytes | None


def step_lines(plan: Plan) -> tuple[StepLine, ...]:
    """The steps of ``plan``, in its order."""
    return tuple(
        StepLine(
            step.name,
            step.toolchain.name,
            step.key,
            tuple(item.step for item in step.inputs if item.step is not None),
            work(step),
        )
        for step in plan.steps
    )
