"""What a manifest file would build, in the little that comparing and listing many of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.digest import Digest
from builder.lock.check import check_text
from builder.lock.file import lock_path, parse_lock
from builder.manifest.load import loads
from builder.manifest.source import decode
from builder.plan.code import StepCode
from builder.plan.make import make_plan
from builder.plan.step import Plan
from builder.predict.manifest import predicted


@dataclass(frozen=True)
class StepLine:
    """``needs``: the names of the steps that it waits for."""

    name: str
    toolchain: str
    key: Digest
    needs: tuple[str, ...]


@dataclass(frozen=True)
class PlanLine:
    """A plan of one variant; ``predicted`` as ``predict.manifest.predicted`` gives it."""

    name: str
    digest: Digest
    steps: tuple[StepLine, ...]
    predicted: Mapping[str, Any]


@dataclass(frozen=True)
class Summary:
    """A manifest file: the family's name and version, and a plan a variant, in their order."""

    name: str
    version: str
    plans: tuple[PlanLine, ...]


@dataclass(frozen=True)
class Texts:
    """A manifest file as bytes, with its lock's if it has one; ``path`` is what errors call it."""

    path: str
    manifest: bytes
    lock: bytes | None


def summarize(texts: Texts, code: StepCode, *, current: bool = True) -> Summary:
    """The summary of ``texts``, its steps running ``code``. InvalidManifest if manifest or lock is not sound.

    ``current``: refuse also a lock whose toolchains are others than those shipped with this tinsmith, as a build does.
    Of an older commit the lock says what the toolchains were then.
    """
    text = decode(texts.manifest, texts.path)
    family = loads(text, texts.path)
    lock = parse_lock(texts.lock, str(lock_path(Path(texts.path)))) if texts.lock is not None else None
    checked = check_text(family, lock, text, texts.path, current=current)
    plans = [make_plan(manifest, checked, code) for manifest in family.manifests]
    lines = (
        PlanLine(plan.name, plan.digest, _steps(plan), predicted(manifest))
        for plan, manifest in zip(plans, family.manifests, strict=True)
    )
    return Summary(family.name, family.version, tuple(lines))


def _steps(plan: Plan) -> tuple[StepLine, ...]:
    return tuple(
        StepLine(
            step.name, step.toolchain.name, step.key, tuple(item.step for item in step.inputs if item.step is not None)
        )
        for step in plan.steps
    )
