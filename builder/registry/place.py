"""Files that lie ready appear in the folder they are for: all of them, or none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def place(stage: Path, folder: Path) -> None:
    """Moves what is in ``stage`` to ``folder``, on the same file system.

    A new or empty folder gets them in one step. In one that has files already, those of the same names are replaced,
    others are left, and an error brings back what was there; only a crash of the machine in just that moment can leave
    some of the files (each whole) old and some new.
    """
    stage.chmod(0o755)
    for path in stage.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if not folder.is_symlink():
        with suppress(OSError):
            stage.rename(folder)
            return
    kept = stage.parent / "kept"
    done: list[tuple[Path, Path | None]] = []
    made: list[Path] = []
    try:
        for path in sorted(item for item in stage.rglob("*") if not item.is_dir()):
            target = folder / path.relative_to(stage)
            made += [parent for parent in target.parents if not parent.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
            old = None
            if os.path.lexists(target):
                old = kept / path.relative_to(stage)
                old.parent.mkdir(parents=True, exist_ok=True)
                target.rename(old)
            done.append((target, old))
            path.rename(target)
    except BaseException:
        for target, old in reversed(done):
            with suppress(OSError):
                if old is None:
                    target.unlink()
                else:
                    old.rename(target)
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        raise
