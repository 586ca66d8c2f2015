"""The store that many machines use at once, over whatever obstore reaches: S3, a shared folder, memory.

Its names are those of ``DiskStore``: ``blobs/sha256/HEX``, ``results/HEX.json``, and beside them
``checkpoints/HEX/NAME``, ``store.json`` (what names the store) and ``damaged/``. Blobs and results are only ever
created; the store says who was first.
"""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from builder.digest import Digest, canonical_json, digest_bytes, digest_file, hex_of
from builder.errors import IntegrityError, StoreUnreachable
from builder.store import checkpoints, documents
from builder.store.base import Artifact, StepResult
from builder.store.bucket import PART, Bucket, TooLarge
from builder.store.streams import Hashed, checked

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Opened

_AT_ONCE = 16
_FEW = 2
"""Objects that are asked for sooner than a thread takes them over."""
_NAME = "store.json"
_TRIES = 8


@dataclass(frozen=True)
class _Streamed:
    """A blob that was read to its end: ``tag`` as of ``Meta``, and whether it has the bytes that its name says."""

    tag: str | None
    sound: bool


class ObjectStore:
    """See ``builder.store.base.SharedStore``. ``address`` and ``patience``: see ``Bucket``."""

    def __init__(self, opened: Opened, address: str, patience: float = 60.0) -> None:
        self.address = address
        self._bucket = Bucket(opened, address, patience)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tinsmith-store")

    def check(self) -> None:
        """StoreUnreachable if the store cannot be read; it need not have been used before."""
        self._named()

    def identity(self) -> str:
        """See ``SharedStore.identity``. StoreUnreachable if the store lets a second writer win."""
        if (found := self._named()) is not None:
            return found
        document = canonical_json({"format": 1, "id": secrets.token_hex(16)})
        if self._bucket.create(_NAME, document) and self._bucket.create(_NAME, document):
            raise StoreUnreachable(
                f"the store {self.address} lets one writer overwrite what another has written",
                help="use a server that knows If-None-Match for PUT, as AWS and newer versions of MinIO do",
            )
        found = self._named()
        assert found is not None, "nobody removes it"
        return found

    @cached_property
    def _writes_once(self) -> bool:
        """Asked before the first result: StoreUnreachable where the first writer does not win."""
        return bool(self.identity())

    def _named(self) -> str | None:
        try:
            found = self._bucket.get(_NAME, documents.MOST_BYTES)
            if found is None:
                return None
            document = json.loads(found.data)
            if document["format"] != 1 or not isinstance(document["id"], str):
                raise ValueError("its format is another one")
            return str(document["id"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise IntegrityError(
                f"{_NAME} of the store {self.address} cannot be read: {error}",
                help="another tinsmith wrote it, or it is damaged: then remove it",
            ) from error

    def has(self, digest: Digest) -> bool:
        return self._bucket.head(_blob(digest)) is not None

    def read(self, digest: Digest) -> bytes:
        found = self._bucket.get(_blob(digest))
        if found is None:
            raise documents.missing(digest)
        if digest_bytes(found.data) != digest:
            raise self._damaged(digest, found.tag)
        return found.data

    def copy_to(self, digest: Digest, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            try:
                found = self._streamed(digest, target)
                if found is None:
                    raise documents.missing(digest)
                if not found.sound:
                    raise self._damaged(digest, found.tag)
            except BaseException:
                path.unlink()
                raise

    def write(self, path: Path) -> Digest:
        size = path.stat().st_size
        if size <= PART:
            return self.write_bytes(path.read_bytes())
        digest = digest_file(path)
        if not self._is_whole(digest, size):
            self._bucket.upload(_blob(digest), lambda: checked(path, digest), size)
        return digest

    def write_bytes(self, data: bytes) -> Digest:
        digest = digest_bytes(data)
        for _ in range(_TRIES):
            if self._bucket.create(_blob(digest), data) or self._is_whole(digest, len(data)):
                return digest
        raise IntegrityError(
            f"the store {self.address} has a blob {digest} with other bytes than its name says",
            help="it cannot be moved away: ask who may write there to remove it",
        )

    def _is_whole(self, digest: Digest, size: int) -> bool:
        """Whether the blob is there with its own bytes; one with others is set aside.

        Whoever names a blob in a result answers for it, also where another writer was first.
        """
        stored = self._bucket.head(_blob(digest))
        if stored is None:
            return False
        if stored.size != size:
            self._damaged(digest, stored.tag)
            return False
        return self._sound_or_aside(digest)

    def _sound_or_aside(self, digest: Digest) -> bool:
        """Whether the blob is there with its own bytes, from reading it; one with others is set aside."""
        found = self._streamed(digest)
        if found is not None and not found.sound:
            self._damaged(digest, found.tag)
        return found is not None and found.sound

    def _streamed(self, digest: Digest, target: BinaryIO | None = None) -> _Streamed | None:
        """The blob as it is, also into ``target`` if there is one; None if there is none."""
        hashed = Hashed(target)
        found = self._bucket.read(_blob(digest), hashed.begin)
        return None if found is None else _Streamed(found.tag, hashed.digest() == digest)

    def lookup(self, key: Digest) -> StepResult | None:
        try:
            found = self._bucket.get(_result(key), documents.MOST_BYTES)
            result = documents.unpacked(found.data, key) if found is not None else None
        except ValueError as error:
            self._set_aside_result(key)
            raise documents.damaged_result(key, error, f"damaged/ of {self.address}") from error
        return result if result is not None and self._is_complete(result) else None

    def _is_complete(self, result: StepResult) -> bool:
        """Whether all its blobs are there, by name and size."""

        def there(item: Artifact) -> bool:
            found = self._bucket.head(_blob(item.digest))
            return found is not None and found.size == item.size

        few = len(result.artifacts) <= _FEW
        return all((map if few else self._pool.map)(there, result.artifacts))

    def record(self, result: StepResult) -> None:
        _ = self._writes_once
        name, data = _result(result.key), documents.packed(result)
        for _ in range(_TRIES):
            if self._bucket.create(name, data):
                return
            try:
                found = self._bucket.get(name, documents.MOST_BYTES)
            except TooLarge:
                self._set_aside_result(result.key)
                continue
            if found is None:
                continue  # disowned in this moment
            known = None
            with suppress(ValueError):
                known = documents.unpacked(found.data, result.key)
            if known is not None and self._is_complete(known):
                if known.artifacts != result.artifacts:
                    raise documents.other_bytes(result)
                return
            # Damaged, of an older tinsmith, or without its blobs: it counts as none.
            if self._bucket.replace(name, data, found):
                return
        raise StoreUnreachable(
            f"the result of {result.key} cannot be kept in {self.address}: it is gone again and again",
            help="ask who may write there what removes it",
        )

    def recent(self, most: int) -> list[StepResult]:
        """See ``Store.recent``; damaged ones are passed over."""
        newest = sorted(((written, key) for key, written in self._listed().items()), reverse=True)[:most]
        return [result for result in self._pool.map(self._readable, (key for _, key in newest)) if result is not None]

    def _readable(self, key: Digest) -> StepResult | None:
        try:
            found = self._bucket.get(_result(key), documents.MOST_BYTES)
            return documents.unpacked(found.data, key) if found is not None else None
        except ValueError:
            return None

    def recorded(self) -> frozenset[Digest]:
        return frozenset(self._listed())

    def _listed(self) -> dict[Digest, datetime]:
        """When each result was written, by key."""
        listed = ((item.name.removeprefix("results/"), item.written) for item in self._bucket.listed("results"))
        return {key: written for name, written in listed if (key := documents.key_named(name)) is not None}

    def disown(self, key: Digest) -> None:
        named = self._bucket.head(_result(key))
        if named is None:
            return
        with suppress(ValueError):
            found = self._bucket.get(_result(key), documents.MOST_BYTES)
            result = documents.unpacked(found.data, key) if found is not None else None
            if result is not None:
                list(self._pool.map(self._sound_or_aside, {item.digest for item in result.artifacts}))
        # Not one that somebody has recorded in its place meanwhile.
        self._bucket.set_aside(_result(key), named.tag, _aside_result(key))

    def _set_aside_result(self, key: Digest) -> None:
        found = self._bucket.head(_result(key))
        if found is not None:
            self._bucket.set_aside(_result(key), found.tag, _aside_result(key))

    def _damaged(self, digest: Digest, tag: str | None) -> IntegrityError:
        # Set aside, so that the next build makes the bytes again instead of meeting the damage for ever.
        self._bucket.set_aside(_blob(digest), tag, _aside(digest))
        return documents.damaged_blob(digest, f"damaged/ of {self.address}")

    def stopped(self) -> frozenset[Digest]:
        return checkpoints.kept_keys(self._bucket)

    def save_checkpoint(self, key: Digest, path: Path) -> None:
        checkpoints.save(self._bucket, key, path)

    def restore_checkpoints(self, key: Digest, folder: Path) -> int:
        return checkpoints.restore(self._bucket, key, folder)

    def drop_checkpoints(self, key: Digest) -> None:
        checkpoints.drop(self._bucket, key)


def _blob(digest: Digest) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _result(key: Digest) -> str:
    return f"results/{hex_of(key)}.json"


def _aside_result(key: Digest) -> str:
    return f"damaged/{hex_of(key)}.json"


def _aside(digest: Digest) -> str:
    return f"damaged/{hex_of(digest)}"
