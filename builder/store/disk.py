"""The store in a folder: ``blobs/sha256/<hex>`` and ``results/<hex>.json``.

Every file is written to a temporary name, synced and renamed, so that a process killed at any moment
leaves the store valid; what it left under ``tmp`` is nobody's and goes with the next ``sweep``. ``work`` has the
scratch folders of steps (workspaces.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from builder.digest import Digest, digest_bytes, hex_of
from builder.errors import IntegrityError, StoreUnreachable
from builder.settings import STORE
from builder.store import documents, temporary, workspaces
from builder.store.base import Artifact, StepResult

_BLOCK = 1 << 20
_TRIES = 8


class DiskStore:
    """See ``builder.store.base.Store``. ``root`` is made if it is not there.

    ``lasting``: what is written outlives a power cut; of a cache that is not worth the wait, as readers hash its blobs.
    """

    def __init__(self, root: Path, *, lasting: bool = True) -> None:
        self.root = root.absolute()
        self._lasting = lasting
        try:
            for folder in (self._blobs, self._results, self._temporary):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnreachable(
                f"the store {root} cannot be written: {error.strerror}",
                help="choose another with --store DIR",
            ) from error
        if self.root == STORE.absolute():
            self._ignored_by_git(self.root.parent / ".gitignore")

    def _ignored_by_git(self, path: Path) -> None:
        """The default place is in the user's project, but nothing to commit. A store works without this file."""
        if path.exists() or path.parent.is_symlink():
            return
        with contextlib.suppress(OSError), temporary.new_file(self._temporary) as (unfinished, target):
            target.write(b"*\n")
            target.flush()
            unfinished.chmod(0o644)
            unfinished.rename(path)

    @property
    def _blobs(self) -> Path:
        return self.root / "blobs" / "sha256"

    @property
    def _results(self) -> Path:
        return self.root / "results"

    @property
    def _temporary(self) -> Path:
        return self.root / "tmp"

    def _blob(self, digest: Digest) -> Path:
        return self._blobs / hex_of(digest)

    def _result(self, key: Digest) -> Path:
        return self._results / f"{hex_of(key)}.json"

    def has(self, digest: Digest) -> bool:
        return self._blob(digest).is_file()

    def read(self, digest: Digest) -> bytes:
        try:
            data = self._blob(digest).read_bytes()
        except FileNotFoundError:
            raise documents.missing(digest) from None
        if digest_bytes(data) != digest:
            raise self._damaged(digest)
        return data

    def copy_to(self, digest: Digest, path: Path) -> None:
        hasher = hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._blob(digest).open("rb") as source, path.open("xb") as target:
                while block := source.read(_BLOCK):
                    hasher.update(block)
                    target.write(block)
        except FileNotFoundError:
            raise documents.missing(digest) from None
        if hasher.hexdigest() != hex_of(digest):
            path.unlink()
            raise self._damaged(digest)

    def write(self, path: Path) -> Digest:
        hasher = hashlib.sha256()
        with temporary.new_file(self._temporary) as (unfinished, target):
            with path.open("rb") as source:
                while block := source.read(_BLOCK):
                    hasher.update(block)
                    target.write(block)
            digest = Digest("sha256:" + hasher.hexdigest())
            _publish(unfinished, target, self._blob(digest), self._lasting)
        return digest

    def write_bytes(self, data: bytes) -> Digest:
        digest = digest_bytes(data)
        with temporary.new_file(self._temporary) as (unfinished, target):
            target.write(data)
            _publish(unfinished, target, self._blob(digest), self._lasting)
        return digest

    def lookup(self, key: Digest) -> StepResult | None:
        path = self._result(key)
        try:
            if path.stat().st_size > documents.MOST_BYTES:
                raise ValueError("it is too large")
            result = documents.unpacked(path.read_bytes(), key)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise documents.damaged_result(key, error, self._set_aside(path)) from error
        return result if result is not None and all(map(self._is_whole, result.artifacts)) else None

    def _is_whole(self, item: Artifact) -> bool:
        """Whether the blob is there with its size; its bytes are hashed by readers."""
        try:
            return self._blob(item.digest).stat().st_size == item.size
        except FileNotFoundError:
            return False

    def record(self, result: StepResult) -> None:
        path = self._result(result.key)
        with temporary.new_file(self._temporary) as (unfinished, target):
            target.write(documents.packed(result))
            _finish(unfinished, target, self._lasting)
            try:
                path.hardlink_to(unfinished)
            except OSError:  # it exists, or this file system has no hard links
                self._record_again(result, unfinished, path)
            _sync(path.parent)

    def _record_again(self, result: StepResult, unfinished: Path, path: Path) -> None:
        """Over a result that is there: the same is fine, and one that counts as none is taken away, by one at a time.

        Those that find none there create theirs meanwhile, so that here, too, a result is only ever created.
        """
        with temporary.only_one(self.root / "lock"):
            for _ in range(_TRIES):
                try:
                    seen = path.stat().st_ino
                    known = self.lookup(result.key)
                    if known is None and path.stat().st_ino == seen:  # without its blobs, or of an older tinsmith
                        self._set_aside(path)
                except (FileNotFoundError, IntegrityError):  # gone; damaged, and so set aside
                    known = None
                if known is not None:
                    if known.artifacts != result.artifacts:
                        raise documents.other_bytes(result)
                    return
                try:
                    path.hardlink_to(unfinished)
                except FileExistsError:
                    continue
                except OSError:  # no hard links here: then everybody comes this way
                    unfinished.replace(path)
                return
        raise StoreUnreachable(
            f"the result {path} counts as none and cannot be moved away", help="remove it; may you write there?"
        )

    def recent(self, most: int) -> list[StepResult]:
        """See ``Store.recent``; damaged ones are passed over."""
        written = []
        for path in self._results.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if (key := documents.key_named(path.name)) is not None:
                    written.append((path.stat().st_mtime, key))
        found = []
        for _, key in sorted(written, reverse=True)[:most]:
            with contextlib.suppress(OSError, ValueError):
                found.append(documents.unpacked(self._result(key).read_bytes(), key))
        return [result for result in found if result is not None]

    def claimed(self, key: Digest) -> AbstractContextManager[Path]:
        """The scratch folder of the step with this key, for this process alone; it outlives a build that is stopped."""
        return workspaces.claimed(self.root, key)

    def sweep(self, wanted: Collection[Digest], finished: Callable[[Digest], bool] | None = None) -> int:
        """Removes what killed builds left and nobody needs. See ``workspaces.sweep``.

        ``finished``: whether a step has a result, where this store is not the one that would know.
        """
        temporary.sweep(self._temporary)
        return workspaces.sweep(self.root, wanted, finished or self._finished)

    def _finished(self, key: Digest) -> bool:
        try:
            return self.lookup(key) is not None
        except IntegrityError:
            return False

    def _damaged(self, digest: Digest) -> IntegrityError:
        return documents.damaged_blob(digest, self._set_aside(self._blob(digest)))

    def _set_aside(self, path: Path) -> str:
        """Moves what is damaged away, so that the next build makes it again instead of meeting it for ever."""
        bad = self.root / "damaged"
        with contextlib.suppress(OSError):  # another process was first, or nothing may be written here
            bad.mkdir(exist_ok=True)
            path.replace(bad / path.name)
        return str(bad)


def _publish(unfinished: Path, stream: BinaryIO, path: Path, lasting: bool) -> None:
    _finish(unfinished, stream, lasting)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size == unfinished.stat().st_size:
            return
    unfinished.rename(path)
    if lasting:
        _sync(path.parent)


def _finish(unfinished: Path, stream: BinaryIO, lasting: bool) -> None:
    stream.flush()
    if lasting:
        os.fsync(stream.fileno())
    unfinished.chmod(0o444)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
