"""Cached, or why not: what a build would do with each step, from the store alone and without changing it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from builder.digest import Digest, hex_of
from builder.plan.summary import StepLine


class Statuses:
    """Of the steps of any number of plans. What is in ``store``, which need not exist, is listed once."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._is_there = store.is_dir()
        self._results = _names(store / "results")
        self._begun = _names(store / "work")
        self._cached: dict[Digest, bool] = {}

    def of(self, steps: Iterable[StepLine]) -> list[str]:
        """One text for each of a plan's ``steps``. IntegrityError for a damaged result."""
        if not self._is_there:
            return ["to run: the store is empty" for _ in steps]
        waiting: set[str] = set()
        return [self._status(step, waiting) for step in steps]

    def cached(self, key: Digest) -> bool:
        """Is there a result for ``key``? IntegrityError if it is damaged."""
        if f"{hex_of(key)}.json" not in self._results:
            return False
        if key not in self._cached:
            from builder.store.disk import DiskStore

            self._cached[key] = DiskStore(self._store).lookup(key) is not None
        return self._cached[key]

    def _status(self, step: StepLine, waiting: set[str]) -> str:
        if self.cached(step.key):
            return "cached"
        needed = [name for name in step.needs if name in waiting]
        waiting.add(step.name)
        name = hex_of(step.key)
        if name in self._begun and any((self._store / "work" / name / "out" / "checkpoints").glob("*.checkpoint")):
            return "to run: stopped before, goes on from its last checkpoint"
        return f"to run: needs {', '.join(needed)}" if needed else "to run: no result for this key"


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 (names, not a Path for each of a hundred thousand)
    except FileNotFoundError:
        return frozenset()
