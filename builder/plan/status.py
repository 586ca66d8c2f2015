"""Cached, or why not: what a build would do with each step, from the store alone and without changing it."""

from __future__ import annotations

from pathlib import Path

from builder.digest import hex_of
from builder.plan.step import Plan


def statuses(plan: Plan, store: Path) -> list[str]:
    """One text a step, in the plan's order. ``store`` need not exist."""
    from builder.store.disk import DiskStore

    if not store.is_dir():
        return ["to run: the store is empty"] * len(plan.steps)
    opened = DiskStore(store)
    waiting: set[str] = set()
    found = []
    for step in plan.steps:
        needed = [item.step for item in step.inputs if item.step in waiting]
        if opened.lookup(step.key) is not None:
            found.append("cached")
            continue
        waiting.add(step.name)
        if any((store / "work" / hex_of(step.key) / "out" / "checkpoints").glob("*.checkpoint")):
            found.append("to run: stopped before, goes on from its last checkpoint")
        elif needed:
            found.append(f"to run: needs {', '.join(str(name) for name in needed)}")
        else:
            found.append("to run: no result for this key")
    return found
