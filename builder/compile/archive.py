"""A tar written in one pass, of members whose sizes may not be known before; whole or not there at all."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from builder.compile.assemble import checksums
from builder.digest import Digest
from builder.errors import IntegrityError

_BLOCK = 1 << 20
_SAY_EVERY = 1 << 28
"""Bytes between two messages of progress."""


class Archive:
    """Members of a tar, owned by nobody and dated 1970; ``digests`` are those of what was added, by name."""

    def __init__(self, stream: IO[bytes], top: str, emit: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._stream, self._top, self._emit = stream, top, emit
        self._written, self._said = 0, 0
        self.digests: dict[str, Digest] = {}

    def add(self, name: str, data: bytes) -> Digest:
        return self.add_stream(name, [data])

    def add_file(self, name: str, path: Path, digest: Digest | None = None) -> Digest:
        """IntegrityError if the file's bytes do not have ``digest``."""
        with path.open("rb") as reading:
            found = self.add_stream(name, iter(lambda: reading.read(_BLOCK), b""))
        if digest is not None and found != digest:
            raise IntegrityError(f"{path} is not what it is said to be: expected {digest}, found {found}")
        return found

    def add_stream(self, name: str, blocks: Iterable[bytes]) -> Digest:
        """A member of these bytes. Its header is written again when their number is known."""
        place, size, digest = self._stream.tell(), 0, hashlib.sha256()
        self._stream.write(self._header(name, 0))
        for block in blocks:
            self._stream.write(block)
            digest.update(block)
            size += len(block)
            self._told(len(block))
        self._stream.write(bytes(-size % tarfile.BLOCKSIZE))
        end = self._stream.tell()
        self._stream.seek(place)
        self._stream.write(self._header(name, size))
        self._stream.seek(end)
        self.digests[name] = Digest(f"sha256:{digest.hexdigest()}")
        return self.digests[name]

    def close(self, sums: str) -> None:
        """Adds the list of all digests under the name ``sums``, and the end of the tar."""
        self.add(sums, checksums(self.digests))
        self._stream.write(bytes(2 * tarfile.BLOCKSIZE))

    def _header(self, name: str, size: int) -> bytes:
        member = tarfile.TarInfo(f"{self._top}/{name}")
        member.size, member.mode = size, 0o644
        # GNU's form holds any size in the same number of bytes.
        return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")

    def _told(self, size: int) -> None:
        self._written += size
        if self._written - self._said >= _SAY_EVERY:
            self._said = self._written
            self._emit("message", {"text": f"{self._written / 1e9:.1f} GB written"})


@contextmanager
def new_archive(path: Path, top: str, emit: Callable[[str, Mapping[str, Any]], None]) -> Iterator[Archive]:
    """An archive that takes the name ``path`` in the end; on an error nothing of it is left."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield Archive(stream, top, emit)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
