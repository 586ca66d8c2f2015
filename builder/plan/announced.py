"""What a build is about to do, as its first event says it: every step once, whichever variants it is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from builder.digest import Digest
from builder.manifest.model import Manifest
from builder.plan.step import Plan, Step
from builder.predict.manifest import predicted


def announced(
    name: str, version: str, variants: Sequence[tuple[Manifest, Plan]], cached: Callable[[Digest], bool]
) -> dict[str, Any]:
    """The event ``plan`` of docs/progress.md for a manifest file with these ``variants``, in their order.

    ``cached`` says whether the result of a key is there. Only trainings that have to run are predicted.
    """
    steps: dict[Digest, dict[str, Any]] = {}
    for manifest, plan in variants:
        for step in plan.steps:
            if step.key not in steps:
                steps[step.key] = _described(step, manifest, cached(step.key))
            steps[step.key]["variants"].append(plan.name)
    names = [plan.name for _, plan in variants]
    return {"name": name, "version": version, "variants": names, "steps": list(steps.values())}


def _described(step: Step, manifest: Manifest, cached: bool) -> dict[str, Any]:
    known = step.name == "train" and not cached
    return {
        "name": step.name,
        "key": step.key,
        "toolchain": step.toolchain.name,
        "cached": cached,
        "training": step.resumable,
        "predicted_seconds": predicted(manifest)["training_seconds"] if known else None,
        "variants": [],
    }
