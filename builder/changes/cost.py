"""What building changed manifests would take here: steps in a store are done already."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.changes.compare import Change, PlanChange
from builder.changes.gather import Comparison
from builder.digest import Digest
from builder.plan.status import Statuses
from builder.plan.summary import PlanLine
from builder.words import roughly

TRAIN = "train"
"""The step whose time is predicted; the others take seconds to minutes."""

Cached = Callable[[Digest], bool]


@dataclass(frozen=True)
class Seconds:
    """Predicted for training on two cores: ``training`` if nothing was done yet, ``to_run`` of what is not cached."""

    training: int
    to_run: int


def cached_in(store: str | Path) -> Cached:
    """Whether a step's result lies in ``store``: see ``Statuses``."""
    return Statuses(store).cached


def seconds(plans: Iterable[PlanLine], cached: Cached) -> Seconds:
    """Of ``plans`` together: a training that several share counts once, and none is free."""
    trainings = {
        step.key: max(1, int(plan.predicted["training_seconds"]))
        for plan in plans
        for step in plan.steps
        if step.name == TRAIN
    }
    return Seconds(sum(trainings.values()), sum(time for key, time in trainings.items() if not cached(key)))


def to_build(changes: Iterable[Change]) -> list[PlanLine]:
    """The plans of what has to be built."""
    return [plan.after for change in changes if change.builds for plan in change.plans if plan.after is not None]


def in_words(count: int) -> str:
    """``count`` seconds of training."""
    return roughly(count) if count else "no training"


def document(comparison: Comparison, cached: Cached) -> dict[str, Any]:
    """All of ``comparison`` as plain data. Paths are as they are in it."""
    total = seconds(to_build(comparison.changes), cached)
    return {
        "format": 1,
        "since": comparison.since,
        "to": comparison.to,
        "unchanged": comparison.unchanged,
        **_times(total),
        "manifests": [_manifest(change, cached) for change in comparison.changes],
    }


def _manifest(change: Change, cached: Cached) -> dict[str, Any]:
    return {
        "path": change.path,
        "from": change.origin,
        "status": change.status,
        "name": change.after.name if change.after else None,
        "version": change.after.version if change.after else None,
        "version_before": change.before.version if change.before else None,
        "selection_changed": change.selection,
        **_times(seconds(to_build([change]), cached)),
        "plans": [_plan(plan, cached) for plan in change.plans],
        "problems": [
            {
                "code": item.code,
                "message": item.message,
                "file": item.span.file,
                "line": item.span.line,
                "column": item.span.column,
                "help": item.help,
            }
            for item in (change.problems.diagnostics if change.problems else ())
        ],
    }


def _plan(plan: PlanChange, cached: Cached) -> dict[str, Any]:
    return {
        "name": plan.name,
        "status": plan.status,
        "digest": plan.after.digest if plan.after else None,
        "digest_before": plan.before.digest if plan.before else None,
        **_times(seconds([plan.after] if plan.after else [], cached)),
        "steps": [
            {
                "name": step.line.name,
                "toolchain": step.line.toolchain,
                "key": step.line.key,
                "changed": step.changed,
                "cached": cached(step.line.key),
            }
            for step in plan.steps
        ],
    }


def _times(found: Seconds) -> dict[str, int]:
    return {"training_seconds": found.training, "training_seconds_to_run": found.to_run}
