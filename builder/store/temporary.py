"""New files of a store: under a temporary name until they are whole, swept once their writer is gone; locks."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def new_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file of ``folder``, open for writing; removed in the end unless it was renamed."""
    while True:
        handle, name = tempfile.mkstemp(dir=folder)
        with suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(handle, fcntl.LOCK_EX)
        if Path(name).exists():
            break
        os.close(handle)  # a sweep came between the two
    try:
        with os.fdopen(handle, "wb") as stream:
            yield Path(name), stream
    finally:
        Path(name).unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Removes what writers that were killed left in ``folder``: the files that no process holds."""
    for path in folder.iterdir():
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
            finally:
                os.close(handle)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Keeps other processes and threads that ask for the same ``path``, a file made for this, out; on a file system
    without locks, nobody."""
    with path.open("ab") as handle:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
