"""The stores that the contract is held against, each with a back door to the bytes below it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import MemoryStore

from builder.digest import Digest, hex_of
from builder.store.base import Artifact, Store
from builder.store.cached import CachedStore
from builder.store.disk import DiskStore
from builder.store.objects import ObjectStore
from builder.store.places import remote_store
from tests.s3 import BUCKET

KINDS = ("memory", "disk", "folder", "s3", "cached")
SHARED = ("memory", "folder", "s3", "cached")
PROCESSES = ("disk", "folder", "s3")
"""Of which two processes can have the same one, and each its own object for it."""
PATIENCE = 30.0

_memories: dict[str, MemoryStore] = {}
_caches = itertools.count()


@dataclass(frozen=True)
class Place:
    """One store of a kind, empty at first. ``where``: a folder, or a name in memory or in the bucket."""

    kind: str
    where: str
    scratch: Path

    def open(self) -> Store:
        """Another object for the same store, as another machine would have it."""
        if self.kind == "disk":
            return DiskStore(Path(self.where))
        if self.kind == "memory":
            return ObjectStore(self._below(), "memory", PATIENCE)
        remote = remote_store(self.url, PATIENCE)
        if self.kind != "cached":
            return remote
        return CachedStore(remote, DiskStore(self.scratch / f"cache-{next(_caches)}"), 10**9)

    @property
    def url(self) -> str:
        return f"file://{self.where}" if self.kind == "folder" else f"s3://{BUCKET}/{self.where}"

    def put(self, name: str, data: bytes) -> None:
        """Writes below the store, past everything that it checks."""
        if self.kind in ("disk", "folder"):
            path = Path(self.where) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(data)
        else:
            obstore.put(self._below(), name, data)

    def get(self, name: str) -> bytes:
        if self.kind in ("disk", "folder"):
            return (Path(self.where) / name).read_bytes()
        return bytes(obstore.get(self._below(), name).bytes())

    def remove(self, name: str) -> None:
        if self.kind in ("disk", "folder"):
            (Path(self.where) / name).unlink()
        else:
            obstore.delete(self._below(), name)

    def names(self, folder: str) -> list[str]:
        if self.kind in ("disk", "folder"):
            root = Path(self.where)
            return sorted(str(path.relative_to(root)) for path in (root / folder).rglob("*") if path.is_file())
        return sorted(item["path"] for item in obstore.list(self._below(), folder).collect())

    def _below(self) -> MemoryStore:
        if self.kind == "memory":
            return _memories.setdefault(self.where, MemoryStore())
        return remote_store(self.url, PATIENCE)._bucket._opened  # type: ignore[return-value]


def blob(digest: Digest) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def result_name(key: Digest) -> str:
    return f"results/{hex_of(key)}.json"


def put(store: Store, data: bytes, path: str = "file") -> Artifact:
    return Artifact(path, store.write_bytes(data), len(data))
