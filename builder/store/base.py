"""What a store keeps: blobs by digest and step results by key. Both are written once."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
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

    def recent(self, most: int) -> list[StepResult]:
        """At most so many of the results that were recorded last, in no order; their blobs may have gone since."""


class Scratch(Protocol):
    """Where steps work, on this machine."""

    def claimed(self, key: Digest) -> AbstractContextManager[Path]:
        """The scratch folder of the step with this key, for this process alone; it outlives a build that is stopped."""

    def sweep(self, wanted: Collection[Digest]) -> int:
        """Removes what killed builds left and nobody needs. See ``workspaces.sweep``."""


class BuildStore(Store, Scratch, Protocol):
    """What a build on one machine needs."""


class SharedStore(Store, Protocol):
    """A store that many machines use at once."""

    def identity(self) -> str:
        """What names this store and no other, by whatever address it is reached; made with the store."""

    def recorded(self) -> frozenset[Digest]:
        """The keys that have a result, from one listing: nothing of them is read, and their blobs may have gone."""

    def stopped(self) -> frozenset[Digest]:
        """The keys of which checkpoints are kept."""

    def save_checkpoint(self, key: Digest, path: Path) -> None:
        """Keeps the checkpoint file at ``path`` of the unfinished step ``key``, and of its others the newest one."""

    def restore_checkpoints(self, key: Digest, folder: Path) -> int:
        """Writes what is kept of the unfinished step ``key`` into ``folder``, over nothing; returns how many files."""

    def drop_checkpoints(self, key: Digest) -> None:
        """Removes what is kept of ``key``, which is finished."""

    def disown(self, key: Digest) -> None:
        """Sets the result of ``key``, and those of its blobs that have other bytes than their names say, aside, so
        that the step runs again."""
