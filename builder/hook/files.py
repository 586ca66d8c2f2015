"""A commit's files in a folder, byte for byte: no attributes, filters, links or other repositories of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePosixPath
from typing import IO

from builder.changes import git
from builder.errors import StoreUnreachable, UsageError

_BLOCK = 1 << 20


def check_out(repository: git.Repository, commit: str, folder: Path) -> list[str]:
    """Writes the plain files of ``commit`` into the new folder ``folder``; returns the paths that were left out: links
    and submodules.

    UsageError for a path that leads elsewhere, StoreUnreachable if the repository lacks a file.
    """
    entries = git.tree(repository, commit, ())
    plain = {path: entry for path, entry in entries.items() if entry.plain}
    folder.mkdir(parents=True)
    # A process of its own, fed one id at a time: no file has to fit into memory.
    with git.open_batch(repository) as batch:
        assert batch.stdin is not None and batch.stdout is not None
        for path, entry in plain.items():
            target = folder / checked(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            batch.stdin.write(f"{entry.id}\n".encode())
            batch.stdin.flush()
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as stream:  # noqa: PTH123
                _copy(batch, stream, entry.id)
    return sorted(set(entries) - set(plain))


def checked(path: str) -> str:
    """``path``, or UsageError if it is not one below a folder. git makes no such trees, but stores them if pushed."""
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith("/")
        or "//" in path
        or any(part in ("", ".", "..", ".git") for part in path.split("/"))
    ):
        raise UsageError(f"the commit has a file {path[:200]!a}, which is nowhere")
    return path


def _copy(batch: subprocess.Popen[bytes], target: IO[bytes], id: str) -> None:
    assert batch.stdout is not None
    header = batch.stdout.readline().split(b" ")
    if len(header) != 3 or header[1] != b"blob":
        raise StoreUnreachable(f"the repository lacks the object {id}")
    left = int(header[2])
    while left:
        block = batch.stdout.read(min(left, _BLOCK))
        if not block:
            raise StoreUnreachable(f"git stopped in the middle of the object {id}")
        target.write(block)
        left -= len(block)
    batch.stdout.read(1)
