"""What a store keeps: blobs by digest and step results by key. Both are written once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builder.digest import Digest


@dataclass(frozen=True)
class Artifact:
    """One output file of a step: its path below the output folder, its digest and its size in bytes."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True)
class StepResult:
    """What a step left behind, and facts of the run that made it (``run``, outside every identity)."""

    key: Digest
    step: str
    artifacts: tuple[Artifact, ...]
    run: dict[str, Any]

    def artifact(self, path: str) -> Artifact:
        return next(item for item in self.artifacts if item.path == path)


class Store(Protocol):
    def has(self, digest: Digest) -> bool: ...

    def read(self, digest: Digest) -> bytes:
        """The blob's bytes. IntegrityError if they no longer have this digest, or it is missing."""

    def copy_to(self, digest: Digest, path: Path) -> None:
        """Writes the blob to ``path``, hashing it on the way. IntegrityError as for ``read``."""

    def write(self, path: Path) -> Digest:
        """Takes a copy of the file at ``path`` and returns its digest."""

    def write_bytes(self, data: bytes) -> Digest:
        """Takes a copy of ``data`` and returns its digest."""

    def lookup(self, key: Digest) -> StepResult | None:
        """The result recorded for ``key`` if every blob of it is there."""

    def record(self, result: StepResult) -> None:
        """Records ``result`` for good. IntegrityError if the key has a result with other bytes."""
