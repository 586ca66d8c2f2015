"""What a build is about to do, as its first event says it: every step once, whichever variants it is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from builder.digest import Digest
from builder.manifest.model import Manifest
from builder.plan.step import Plan, Step
from builder.predict.manifest import predicted


def announced(
    name: str,
    version: str,
    variants: Sequence[tuple[Manifest, Plan]],
    cached: Callable[[Digest], bool],
    seconds: Callable[[Step], float | None] = lambda step: None,
) -> dict[str, Any]:
    """The event ``plan`` of docs/progress.md for a manifest file with these ``variants``, in their order.

    ``cached`` says whether the result of a key is there, ``seconds`` how long a step should take by what past runs
    took, or None. Only trainings that have to run are predicted by their manifest. Each is asked once a step.
    """
    steps: dict[Digest, dict[str, Any]] = {}
    for manifest, plan in variants:
        for step in plan.steps:
            if step.key not in steps:
                steps[step.key] = _described(step, plan, manifest, cached(step.key), seconds)
            steps[step.key]["variants"].append(plan.name)
    names = [plan.name for _, plan in variants]
    return {"name": name, "version": version, "variants": names, "steps": list(steps.values())}


def _described(
    step: Step, plan: Plan, manifest: Manifest, cached: bool, seconds: Callable[[Step], float | None]
) -> dict[str, Any]:
    known = step.name == "train" and not cached
    needs = dict.fromkeys(plan.step(item.step).key for item in step.inputs if item.step is not None)
    return {
        "name": step.name,
        "key": step.key,
        "toolchain": step.toolchain.name,
        "cached": cached,
        "training": step.resumable,
        "predicted_seconds": predicted(manifest)["training_seconds"] if known else None,
        "seconds": None if cached else seconds(step),
        "needs": list(needs),
        "variants": [],
    }
