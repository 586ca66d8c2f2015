"""A shared store read through a bounded folder of this machine, where steps also work.

What is written goes to the shared store first. Blobs are read from the folder where they are there, hashed all the
same; results are the shared store's alone, so that all machines agree on what is done. The blobs that nobody has read
for longest go when the folder grows beyond its bound. Any number of processes may use one folder: to a reader a blob
that goes is one that was never there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TypeVar

from builder.digest import Digest, hex_of
from builder.errors import IntegrityError
from builder.store.base import SharedStore, StepResult
from builder.store.disk import DiskStore

_SLACK = 20
"""A process looks the folder through before it adds more than this fraction of the bound to it."""

T = TypeVar("T")


class CachedStore:
    """A ``BuildStore`` and a ``SharedStore``. ``most_bytes`` bounds the blobs in ``local``."""

    def __init__(self, remote: SharedStore, local: DiskStore, most_bytes: int) -> None:
        self.remote = remote
        self.local = local
        self._identity: str | None = None
        self._most = most_bytes
        self._slack = most_bytes // _SLACK
        self._added = most_bytes  # since the folder was looked through, and it was not yet

    def has(self, digest: Digest) -> bool:
        return self.remote.has(digest)

    def read(self, digest: Digest) -> bytes:
        if (data := self._from_local(digest, lambda: self.local.read(digest))) is None:
            data = self.remote.read(digest)
            self._keep(len(data), lambda: self.local.write_bytes(data))
        return data

    def copy_to(self, digest: Digest, path: Path) -> None:
        def copy() -> bool:
            self.local.copy_to(digest, path)
            return True

        if self._from_local(digest, copy) is None:
            self.remote.copy_to(digest, path)
            self._keep(path.stat().st_size, lambda: self.local.write(path))

    def write(self, path: Path) -> Digest:
        digest = self.remote.write(path)
        self._keep(path.stat().st_size, lambda: self.local.write(path))
        return digest

    def write_bytes(self, data: bytes) -> Digest:
        digest = self.remote.write_bytes(data)
        self._keep(len(data), lambda: self.local.write_bytes(data))
        return digest

    def lookup(self, key: Digest) -> StepResult | None:
        return self.remote.lookup(key)

    def record(self, result: StepResult) -> None:
        self.remote.record(result)

    def recent(self, most: int) -> list[StepResult]:
        return self.remote.recent(most)

    def recorded(self) -> frozenset[Digest]:
        return self.remote.recorded()

    def claimed(self, key: Digest) -> AbstractContextManager[Path]:
        return self.local.claimed(key)

    def sweep(self, wanted: Collection[Digest]) -> int:
        return self.local.sweep(wanted, self._finished)

    def _finished(self, key: Digest) -> bool:
        try:
            return self.remote.lookup(key) is not None
        except IntegrityError:
            return False

    def identity(self) -> str:
        if self._identity is None:
            self._identity = self.remote.identity()
        return self._identity

    def stopped(self) -> frozenset[Digest]:
        return self.remote.stopped()

    def save_checkpoint(self, key: Digest, path: Path) -> None:
        self.remote.save_checkpoint(key, path)

    def restore_checkpoints(self, key: Digest, folder: Path) -> int:
        return self.remote.restore_checkpoints(key, folder)

    def drop_checkpoints(self, key: Digest) -> None:
        self.remote.drop_checkpoints(key)

    def disown(self, key: Digest) -> None:
        self.remote.disown(key)

    def _from_local(self, digest: Digest, get: Callable[[], T]) -> T | None:
        """What ``get`` takes from the folder; None if the blob is not there, or no longer, or damaged."""
        if not self.local.has(digest):
            return None
        try:
            found = get()
        except IntegrityError:
            # The shared store has it whole; nobody needs the damaged one.
            (self.local.root / "damaged" / hex_of(digest)).unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(self._blobs / hex_of(digest))
        return found

    def _keep(self, size: int, write: Callable[[], object]) -> None:
        """Has ``write`` put a blob of this size into the folder, where there is room; it can do without."""
        if size > self._most:
            return
        with suppress(OSError):
            if self._added + size > self._slack:
                self._shrink(self._most - self._slack - size)
                self._added = 0
            self._added += size
            write()

    def _shrink(self, to: int) -> None:
        """Removes the blobs that were used longest ago until the others have at most ``to`` bytes."""
        found = []
        with os.scandir(self._blobs) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    facts = entry.stat()
                    found.append((facts.st_mtime_ns, facts.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= to:
                break
            Path(path).unlink(missing_ok=True)
            total -= size

    @property
    def _blobs(self) -> Path:
        return self.local.root / "blobs" / "sha256"
