"""One side of a comparison: the files of a commit, or of the working tree, by their ids and when needed their bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builder.changes import git
from builder.errors import StoreUnreachable
from builder.manifest.source import LARGEST_BYTES


class Side(Protocol):
    @property
    def ids(self) -> Mapping[str, str]:
        """Of the plain files, by path from the root. Equal ids are equal bytes, on both sides."""

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes of files that are in ``ids``; of one too large for a manifest some as large."""


@dataclass(frozen=True)
class Commit:
    """The files of a commit at or below some paths; none at all for the commit that is no commit."""

    repository: git.Repository
    ids: Mapping[str, str]

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        by_path = {path: self.ids[path] for path in paths}
        found = git.blobs(self.repository, by_path.values())
        return {path: found[id] for path, id in by_path.items()}


@dataclass(frozen=True)
class Working:
    """The files of the working tree."""

    ids: Mapping[str, str]
    _bytes: Mapping[str, bytes]

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        return {path: self._bytes[path] for path in paths}


def of_commit(repository: git.Repository, commit: str | None, paths: Sequence[str]) -> Commit:
    """None: the commit before the first."""
    entries = git.tree(repository, commit, _at(paths)) if commit is not None else {}
    return Commit(repository, {path: entry.id for path, entry in entries.items() if entry.plain})


def of_working_tree(repository: git.Repository, paths: Sequence[str], wanted: Sequence[str]) -> Working:
    """Files that end in one of ``wanted``, or are named in ``paths`` themselves (also if git ignores them)."""
    assert repository.top is not None, "asked only where there is a working tree"
    top = os.fspath(repository.top)
    named = [path for path in paths if path != "." and os.path.isfile(f"{top}/{path}")]  # noqa: PTH113
    files = [*git.working_files(repository, _at(paths)), *named]
    data = {path: found for path in files if path in named or path.endswith(tuple(wanted))
            if (found := _read(f"{top}/{path}")) is not None}  # fmt: skip
    return Working({path: git.id_of(found, repository.hash_name) for path, found in data.items()}, data)


def _at(paths: Sequence[str]) -> list[str]:
    """Nothing for the root itself, which git takes for all."""
    return [] if "." in paths else list(paths)


def _read(path: str) -> bytes | None:
    """None for what is no plain file (a link, a folder with a repository of its own) or is gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if os.path.lexists(path) and not Path(path).is_symlink():
            raise StoreUnreachable(f"{path} cannot be read: {error.strerror}") from error
        return None
    with open(handle, "rb") as stream:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return stream.read(LARGEST_BYTES + 1)
