"""Two builds side by side, by digests: which steps left other bytes, and whether they had the same to work on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.digest import Digest
from builder.lock.listing import FileChange, changes
from builder.plan.step import Step
from builder.store.base import StepResult

TRAININGS = ("train", "qat")
"""The modules whose bytes may depend on the CPU."""


@dataclass(frozen=True)
class ComparedStep:
    """``files`` is how many outputs there are; ``inputs_same``: did it have the same bytes to work on both times?"""

    step: Step
    files: int
    inputs_same: bool
    changes: tuple[FileChange, ...]

    @property
    def same(self) -> bool:
        return not self.changes

    @property
    def training(self) -> bool:
        return self.step.module in TRAININGS


def compare_steps(
    steps: Sequence[Step],
    before: Mapping[str, Mapping[str, Digest]],
    after: Mapping[str, Mapping[str, Digest]],
) -> list[ComparedStep]:
    """Each of ``steps``, which come after all that they need; outputs are path -> digest, by step name."""
    found: dict[str, ComparedStep] = {}
    for step in steps:
        one, other = before.get(step.name, {}), after.get(step.name, {})
        found[step.name] = ComparedStep(
            step,
            files=len({*one, *other}),
            inputs_same=all(found[item.step].same for item in step.inputs if item.step is not None),
            changes=tuple(changes(one, other)),
        )
    return list(found.values())


def outputs_of(result: StepResult) -> dict[str, Digest]:
    """Path -> digest of what a step left."""
    return {item.path: item.digest for item in result.artifacts}
