"""Scratch folders of steps: ``work/<hex of the key>`` in the store, each held by one build at a time.

They lie in the store so that the store alone is enough to go on with a stopped training: its checkpoints are in
``out/checkpoints``. What else a stopped build leaves there is swept by the next one, so that disk use stays bounded.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.digest import Digest, hex_of, is_digest

CHECKPOINTS = "checkpoints"
KEPT_TRAININGS = 8
"""Of so many stopped trainings that no longer belong to the plan at hand, the checkpoints are kept."""


@contextmanager
def claimed(root: Path, key: Digest) -> Iterator[Path]:
    """The scratch folder of the step with this key, made if absent; waits while another process holds it."""
    folder = root / "work" / hex_of(key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _held(folder, wait=True):
        folder.mkdir(exist_ok=True)
        yield folder


def sweep(root: Path, wanted: Collection[Digest], finished: Callable[[Digest], bool]) -> int:
    """Removes what nobody holds and no build can use; returns of how many stopped trainings the checkpoints went.

    Of steps without a result the checkpoints stay, those of ``wanted`` keys and the newest KEPT_TRAININGS others.
    """
    stopped = []
    for folder in _folders(root / "work"):
        key = Digest(f"sha256:{folder.name}")
        with _held(folder, wait=False) as held:
            if not held:
                continue
            saved = [] if finished(key) else list((folder / "out" / CHECKPOINTS).glob("*.checkpoint"))
            if not saved:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            _remove_all_but(folder, "out")
            _remove_all_but(folder / "out", CHECKPOINTS)
            if key not in wanted:
                stopped.append((max(map(_written, saved)), folder))
    old = [folder for _, folder in sorted(stopped, reverse=True)[KEPT_TRAININGS:]]
    for folder in old:
        with _held(folder, wait=False) as held:
            if held:
                shutil.rmtree(folder, ignore_errors=True)
    return len(old)


def _written(path: Path) -> float:
    """When ``path`` was written; 0 if a container that outlived its engine has just deleted it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _folders(work: Path) -> list[Path]:
    """The scratch folders, also those of which only the lock is left."""
    names = {path.name.removesuffix(".lock") for path in work.iterdir()} if work.is_dir() else set()
    return [work / name for name in sorted(names) if is_digest(f"sha256:{name}")]


@contextmanager
def _held(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Whether this process now holds ``folder``. The lock's file goes when the folder has gone."""
    path = folder.parent / f"{folder.name}.lock"
    while True:
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            if not _is_still(path, handle.fileno()):
                continue  # Whoever held it has just removed it: a lock on it keeps nobody out.
            try:
                yield True
            finally:
                if not folder.exists():
                    path.unlink(missing_ok=True)
            return


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _remove_all_but(folder: Path, kept: str) -> None:
    for item in folder.iterdir():
        if item.name == kept:
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item, ignore_errors=True)
        else:
            with suppress(OSError):
                item.unlink()
