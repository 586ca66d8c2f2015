"""Files that cross between the caller, who may be root, and a step, which never is."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def give(folder: Path, owner: tuple[int, int]) -> None:
    """Makes ``owner`` (user and group id) own ``folder`` and all below it. Only root can.

    A file that goes meanwhile is no error: a container that outlives its engine still writes checkpoints there.
    """
    if os.getuid() != 0:
        return
    for path in _tree(folder):
        with suppress(FileNotFoundError):
            os.chown(path, *owner, follow_symlinks=False)


def readable_copy(folder: Path, place: Path) -> Path:
    """``folder`` if anyone may read it all, else a copy at ``place`` that anyone may read."""
    if all(_open_to_all(path) for path in _tree(folder)):
        return folder
    shutil.copytree(folder, place)
    for path in _tree(place):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return place


def _tree(folder: Path) -> Iterator[Path]:
    yield folder
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent) / name for name in [*folders, *files])


def _open_to_all(path: Path) -> bool:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return True
    wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else stat.S_IROTH
    return status.st_mode & wanted == wanted
