"""Sees to it that a store keeps its promise: a step's result appears once, whole, and never changes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.1


class ResultsWatch(threading.Thread):
    """Looks at the results below ``folder``, the objects of one store, again and again. A context manager.

    ``broken`` says what was seen that must not be. Where ``aside`` is true, a result may go, as those do whose blobs
    were found damaged.
    """

    def __init__(self, folder: Path, *, aside: bool = False) -> None:
        super().__init__(name="results", daemon=True)
        self.folder, self._aside = folder, aside
        self.broken: list[str] = []
        self._first: dict[str, bytes] = {}
        self._signs: dict[str, tuple[int, int]] = {}
        self._ended = threading.Event()

    def __enter__(self) -> ResultsWatch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        self.look()

    def run(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            self.look()

    def look(self) -> None:
        present: set[str] = set()
        for path in sorted((self.folder / "results").glob("*.json")):
            with suppress(FileNotFoundError):
                status = path.stat()
                sign = (status.st_ino, status.st_mtime_ns)
                present.add(path.stem)
                if self._signs.get(path.stem) != sign:
                    self._signs[path.stem] = sign
                    self._seen(path.stem, path.read_bytes())
        for name in self._first.keys() - present:
            if not self._aside:
                self.broken.append(f"the result of {name} has gone")
            del self._first[name], self._signs[name]

    def _seen(self, name: str, data: bytes) -> None:
        before = self._first.setdefault(name, data)
        if before != data:
            self.broken.append(f"the result of {name} was {before!r}, then {data!r}")

    def lacking(self, keys: Collection[str]) -> list[str]:
        """What is wrong with the results of the steps ``keys``: those that are not there, blobs that are not theirs."""
        return [text for key in sorted(keys) for text in self._lacking(key.removeprefix("sha256:"))]

    def _lacking(self, name: str) -> list[str]:
        path = self.folder / "results" / f"{name}.json"
        if not path.exists():
            return [f"the result of {name} is missing"]
        found: dict[str, Any] = json.loads(path.read_bytes())
        texts = []
        for item in found["artifacts"]:
            blob = self.folder / "blobs" / "sha256" / item["digest"].removeprefix("sha256:")
            if not blob.exists():
                texts.append(f"{found['step']} {name}: {item['path']} is missing")
            elif hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name:
                texts.append(f"{found['step']} {name}: {item['path']} has other bytes")
        return texts
