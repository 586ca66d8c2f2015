"""Files of a layout that nobody vouches for: regular files only, never a link, a pipe or a device; bounded."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from builder.digest import hex_of
from builder.errors import IntegrityError
from builder.release.release import Blob

_ODD = (errno.ELOOP, errno.ENXIO, errno.ENODEV)


def open_regular(path: Path) -> BufferedReader:
    """``path`` for reading. IntegrityError if it is no regular file itself; other errors as for ``open``.

    The folders above it may be links: what a user names is theirs to choose.
    """
    try:
        # A pipe that nobody writes to would hold up an opening that blocks.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _ODD:
            raise _odd(path) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _odd(path)
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most: int) -> bytes:
    """All of ``path``. IntegrityError if it is no regular file, or larger than ``most`` bytes."""
    with open_regular(path) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise IntegrityError(f"{path} is larger than {most:,} bytes")
    return data


def holds(path: Path, blob: Blob) -> bool:
    """Whether ``path`` is a regular file with the bytes of ``blob``. FileNotFoundError if it is not there."""
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size != blob.size:
            return False
        return hashlib.file_digest(stream, "sha256").hexdigest() == hex_of(blob.digest)


def _odd(path: Path) -> IntegrityError:
    return IntegrityError(f"{path} is not a regular file")
