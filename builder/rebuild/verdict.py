"""What a rebuild amounts to, in words and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from builder.errors import RebuildDiffers
from builder.rebuild.compare import ComparedStep
from builder.rebuild.rebuild import Rebuilt
from builder.rebuild.training import accuracy, conditions, released_on


def judge(rebuilt: Rebuilt, lines: list[str]) -> None:
    """RebuildDiffers (exit 5) with ``lines`` if anything differs."""
    if not rebuilt.same:
        raise RebuildDiffers(
            "\n  ".join([f"{rebuilt.release.ref} was built again and is not the same", *lines]),
            help="docs/rebuild.md says what can differ, and where",
        )


def reasons(rebuilt: Rebuilt, metrics: bytes | None, run: Mapping[str, Any] | None) -> Iterator[str]:
    """What differs, the first of it first; nothing if all is the same.

    ``metrics``: the release's metrics.json; ``run``: the facts of the run that made it. None where it has none.
    """
    differing = [step for step in rebuilt.steps if not step.same]
    for step in differing[:1]:
        yield f"first step: {described(step)}"
    if len(differing) > 1:
        own = [step.step.name for step in differing[1:] if step.inputs_same]
        yield f"other steps that differ: {', '.join(step.step.name for step in differing[1:])}" + (
            f"; of these, with the same inputs: {', '.join(own)}" if own else "; all had other inputs"
        )
    for change in rebuilt.files[:1]:
        yield f"first file of the release: {change}, {len(rebuilt.files)} in all"
    if not rebuilt.files and rebuilt.digest != rebuilt.release.digest:
        yield "all files are the same, but the release says something else of itself: compare its annotations"
    if rebuilt.digest != rebuilt.release.digest:
        yield f"released {rebuilt.release.digest}"
        yield f"now      {rebuilt.digest}"
    for step in differing:
        if step.training and step.inputs_same:
            yield from _training(step, rebuilt, metrics, run)


def described(step: ComparedStep) -> str:
    """``train: model.ckpt.index has other bytes, its inputs were the same``."""
    more = f" and {len(step.changes) - 1} more of {step.files} files" if len(step.changes) > 1 else ""
    inputs = "its inputs were the same" if step.inputs_same else "its inputs were other ones"
    return f"{step.step.name}: {step.changes[0]}{more}; {inputs}"


def _training(
    step: ComparedStep, rebuilt: Rebuilt, metrics: bytes | None, run: Mapping[str, Any] | None
) -> Iterator[str]:
    before = released_on(run)
    yield f"{step.step.name} ran here with: {conditions(step.step)}"
    if before is not None:
        yield f"the release says it was made on: {before}"
    one = accuracy(metrics) if metrics is not None else None
    other = accuracy(rebuilt.contents.get("metrics.json", b""))
    if one and other:
        yield (
            f"mAP {one[0]:.3f} released, {other[0]:.3f} now; mAP@0.5 {one[1]:.3f} released, {other[1]:.3f} now "
            "(trainings on other CPUs may part: tier C)"
        )


def document(rebuilt: Rebuilt, lines: list[str]) -> dict[str, Any]:
    """All of it as plain data, for ``--json``."""
    return {
        "release": rebuilt.release.ref,
        "same": rebuilt.same,
        "released": rebuilt.release.digest,
        "rebuilt": rebuilt.digest,
        "steps": [
            {
                "name": step.step.name,
                "key": step.step.key,
                "same": step.same,
                "inputs_same": step.inputs_same,
                "files": step.files,
                "differences": [vars(change) for change in step.changes],
            }
            for step in rebuilt.steps
        ],
        "differences": [vars(change) for change in rebuilt.files],
        "reasons": lines,
    }
