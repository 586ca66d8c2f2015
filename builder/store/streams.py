"""Files on their way into and out of a store, hashed as they go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from builder.digest import Digest, hex_of
from builder.errors import StepFailed

_BLOCK = 1 << 20


class Hashed:
    """What streams by, hashed and written to ``target`` if there is one."""

    def __init__(self, target: BinaryIO | None = None) -> None:
        self._target = target
        self._hasher = hashlib.sha256()

    def begin(self) -> Callable[[memoryview], None]:
        self._hasher = hashlib.sha256()
        if self._target is not None:
            self._target.seek(0)
            self._target.truncate()
        return self._take

    def _take(self, block: memoryview) -> None:
        self._hasher.update(block)
        if self._target is not None:
            self._target.write(block)

    def digest(self) -> Digest:
        return Digest("sha256:" + self._hasher.hexdigest())


def checked(path: Path, digest: Digest) -> Iterator[bytes]:
    """The bytes of ``path``. StepFailed in their end, so that nothing is kept, if they no longer have this digest."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            hasher.update(block)
            yield block
    if hasher.hexdigest() != hex_of(digest):
        raise StepFailed(f"{path.name} changed while it was taken into the store")
