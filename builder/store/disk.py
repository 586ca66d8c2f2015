"""The store in a folder: ``blobs/sha256/<hex>`` and ``results/<hex>.json``.

Every file is written to a temporary name, synced and renamed, so that a process killed at any moment
leaves the store valid; what it left under ``tmp`` is nobody's and goes with the next ``sweep``. ``work`` has the
scratch folders of steps (workspaces.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from builder.digest import Digest, canonical_json, digest_bytes, digest_json, hex_of, parse_digest
from builder.errors import IntegrityError, StoreUnreachable
from builder.settings import STORE
from builder.store import temporary, workspaces
from builder.store.base import Artifact, StepResult

_BLOCK = 1 << 20


class DiskStore:
    """See ``builder.store.base.Store``. ``root`` is made if it is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
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

    def has(self, digest: Digest) -> bool:
        return self._blob(digest).is_file()

    def read(self, digest: Digest) -> bytes:
        try:
            data = self._blob(digest).read_bytes()
        except FileNotFoundError:
            raise _missing(digest) from None
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
            raise _missing(digest) from None
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
            _publish(unfinished, target, self._blob(digest))
        return digest

    def write_bytes(self, data: bytes) -> Digest:
        digest = digest_bytes(data)
        with temporary.new_file(self._temporary) as (unfinished, target):
            target.write(data)
            _publish(unfinished, target, self._blob(digest))
        return digest

    def lookup(self, key: Digest) -> StepResult | None:
        path = self._results / f"{hex_of(key)}.json"
        try:
            document = json.loads(path.read_bytes())
            digest = document.pop("digest", None)
            if digest is None:
                return None  # written by an older tinsmith
            if digest != digest_json(document):
                raise ValueError("it has other contents than its digest says")
            result = _result_of(document)
            if result.key != key:
                raise ValueError(f"it is the result of {result.key}")
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"the result {path} is damaged: {error}", help="delete that file; the step will run again"
            ) from error
        return result if all(self.has(item.digest) for item in result.artifacts) else None

    def record(self, result: StepResult) -> None:
        known = self.lookup(result.key)
        if known is not None:
            if known.artifacts != result.artifacts:
                raise IntegrityError(
                    f"step {result.step} ran twice with key {result.key} and gave other bytes",
                    help="the step is not reproducible on this machine; please report it",
                )
            return
        document = {
            "key": result.key,
            "step": result.step,
            "artifacts": [vars(item) for item in result.artifacts],
            "run": result.run,
        }
        with temporary.new_file(self._temporary) as (unfinished, target):
            target.write(canonical_json({**document, "digest": digest_json(document)}))
            path = self._results / f"{hex_of(result.key)}.json"
            path.unlink(missing_ok=True)  # a result that lost its blobs counts as none
            _publish(unfinished, target, path)

    def recent(self, most: int) -> list[StepResult]:
        """See ``Store.recent``; damaged ones are passed over."""
        paths = sorted(self._results.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        found = []
        for path in paths[:most]:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                found.append(_result_of(json.loads(path.read_bytes())))
        return found

    def claimed(self, key: Digest) -> AbstractContextManager[Path]:
        """The scratch folder of the step with this key, for this process alone; it outlives a build that is stopped."""
        return workspaces.claimed(self.root, key)

    def sweep(self, wanted: Collection[Digest]) -> int:
        """Removes what killed builds left and nobody needs. See ``workspaces.sweep``."""
        temporary.sweep(self._temporary)
        return workspaces.sweep(self.root, wanted, self._finished)

    def _finished(self, key: Digest) -> bool:
        try:
            return self.lookup(key) is not None
        except IntegrityError:
            return False

    def _damaged(self, digest: Digest) -> IntegrityError:
        # Set aside, so that the next build makes the bytes again instead of meeting the damage for ever.
        bad = self.root / "damaged"
        bad.mkdir(exist_ok=True)
        shutil.move(self._blob(digest), bad / hex_of(digest))
        return IntegrityError(
            f"the stored blob {digest} has other bytes than its name says",
            help=f"it was moved to {bad}; build again to make it anew",
        )


def _publish(unfinished: Path, stream: Any, path: Path) -> None:
    stream.flush()
    os.fsync(stream.fileno())
    if path.exists():
        return
    unfinished.chmod(0o444)
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _missing(digest: Digest) -> IntegrityError:
    return IntegrityError(f"the store has no blob {digest}", help="build again to make it anew")


def _result_of(document: dict[str, Any]) -> StepResult:
    artifacts = tuple(
        Artifact(item["path"], parse_digest(item["digest"]), int(item["size"])) for item in document["artifacts"]
    )
    return StepResult(parse_digest(document["key"]), document["step"], artifacts, dict(document["run"]))
