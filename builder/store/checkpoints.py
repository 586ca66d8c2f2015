"""Checkpoints of unfinished steps in a shared store: ``checkpoints/HEX/NAME``, of each step the newest ones.

The names and the form are those of docker/steps/checkpoints.py: a file begins with the sha256 of its rest.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from builder.digest import Digest, hex_of, is_digest
from builder.store.bucket import Bucket

KEPT = 2
_FOLDER = "checkpoints"
_NAME = re.compile(r"step-\d{8}\.checkpoint")
_DIGEST_SIZE = 32
_BLOCK = 1 << 20


def save(bucket: Bucket, key: Digest, path: Path) -> None:
    """Puts the file at ``path`` beside the others of ``key`` and removes all but the newest KEPT.

    A file that its training has removed by now is passed over: there is a newer one. So is what is no file, but a link
    to one, or a pipe: a step must not have read for it what it cannot read itself.
    """
    if not _NAME.fullmatch(path.name):
        raise ValueError(f"no checkpoint is called {path.name!a}")
    with suppress(FileNotFoundError), _opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        bucket.upload(f"{_of(key)}/{path.name}", lambda: _blocks(stream), size)
        bucket.remove(f"{_of(key)}/{name}" for name in _names(bucket, key)[KEPT:])


def restore(bucket: Bucket, key: Digest, folder: Path) -> int:
    """See ``SharedStore.restore_checkpoints``; damaged ones are passed over."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for name in _names(bucket, key):
        if (folder / name).exists():
            continue
        handle, temporary = tempfile.mkstemp(prefix=".restored-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as target:
                checked = _Checked(target)
                found = bucket.read(f"{_of(key)}/{name}", checked.begin)
            if found is not None and checked.is_whole():
                Path(temporary).chmod(0o644)
                with suppress(FileExistsError):
                    (folder / name).hardlink_to(temporary)
                    count += 1
        finally:
            Path(temporary).unlink()
    return count


def drop(bucket: Bucket, key: Digest) -> None:
    bucket.remove(item.name for item in bucket.listed(_of(key)))


def kept_keys(bucket: Bucket) -> frozenset[Digest]:
    """The steps of which there are checkpoints."""
    parts = (item.name.split("/") for item in bucket.listed(_FOLDER))
    keys = {f"sha256:{part[1]}" for part in parts if len(part) == 3 and _NAME.fullmatch(part[2])}
    return frozenset(Digest(key) for key in keys if is_digest(key))


def _of(key: Digest) -> str:
    return f"{_FOLDER}/{hex_of(key)}"


def _names(bucket: Bucket, key: Digest) -> list[str]:
    """Newest first."""
    names = (item.name.rpartition("/")[2] for item in bucket.listed(_of(key)))
    return sorted((name for name in names if _NAME.fullmatch(name)), reverse=True)


def _opened(path: Path) -> BinaryIO:
    """FileNotFoundError for a link and for what is no file; a pipe is not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(error.errno, "it is a link", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "it is no file", str(path))
    return os.fdopen(handle, "rb")


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while block := stream.read(_BLOCK):
        yield block


class _Checked:
    """Writes a checkpoint to ``target`` and says whether it has the sha256 that it begins with."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._first = b""
        self._hasher = hashlib.sha256()

    def begin(self) -> Callable[[memoryview], None]:
        self._first, self._hasher = b"", hashlib.sha256()
        self._target.seek(0)
        self._target.truncate()
        return self._take

    def _take(self, block: memoryview) -> None:
        self._target.write(block)
        if (lacking := _DIGEST_SIZE - len(self._first)) > 0:
            self._first += bytes(block[:lacking])
            block = block[lacking:]
        self._hasher.update(block)

    def is_whole(self) -> bool:
        return self._first == self._hasher.digest()
