"""Cached, or why not: what a build would do with each step, from the store alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from builder.digest import Digest, hex_of
from builder.plan.summary import StepLine
from builder.store.places import is_shared, open_shared


class _Seen(Protocol):
    """What lay in a store when it was listed."""

    empty: bool

    def cached(self, key: Digest) -> bool: ...

    def stopped(self, key: Digest) -> bool: ...


class Statuses:
    """Of the steps of any number of plans. What is in ``store``, which need not exist, is listed once.

    In a folder a result is read before it counts. In a shared store the list counts: to read thousands of results takes
    thousands of requests, and a build reads them anyway. StoreUnreachable if it cannot be listed.
    """

    def __init__(self, store: str | Path) -> None:
        self._seen: _Seen = _SharedStore(str(store)) if is_shared(store) else _Folder(Path(store))

    def of(self, steps: Iterable[StepLine]) -> list[str]:
        """One text for each of a plan's ``steps``. IntegrityError for a damaged result."""
        if self._seen.empty:
            return ["to run: the store is empty" for _ in steps]
        waiting: set[str] = set()
        return [self._status(step, waiting) for step in steps]

    def cached(self, key: Digest) -> bool:
        """Is there a result for ``key``? IntegrityError if it is damaged."""
        return self._seen.cached(key)

    def _status(self, step: StepLine, waiting: set[str]) -> str:
        if self.cached(step.key):
            return "cached"
        needed = [name for name in step.needs if name in waiting]
        waiting.add(step.name)
        if self._seen.stopped(step.key):
            return "to run: stopped before, goes on from its last checkpoint"
        return f"to run: needs {', '.join(needed)}" if needed else "to run: no result for this key"


class _Folder:
    def __init__(self, store: Path) -> None:
        self._store = store
        self.empty = not store.is_dir()
        self._results = _names(store / "results")
        self._begun = _names(store / "work")
        self._cached: dict[Digest, bool] = {}

    def cached(self, key: Digest) -> bool:
        if f"{hex_of(key)}.json" not in self._results:
            return False
        if key not in self._cached:
            from builder.store.disk import DiskStore

            self._cached[key] = DiskStore(self._store).lookup(key) is not None
        return self._cached[key]

    def stopped(self, key: Digest) -> bool:
        name = hex_of(key)
        return name in self._begun and any((self._store / "work" / name / "out" / "checkpoints").glob("*.checkpoint"))


class _SharedStore:
    def __init__(self, url: str) -> None:
        store = open_shared(url)
        self._recorded = store.recorded()
        self._stopped = store.stopped()
        self.empty = not (self._recorded or self._stopped)

    def cached(self, key: Digest) -> bool:
        return key in self._recorded

    def stopped(self, key: Digest) -> bool:
        return key in self._stopped


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 (names, not a Path for each of a hundred thousand)
    except FileNotFoundError:
        return frozenset()
