"""The files of a data folder by kind, found in one bounded walk; nothing is opened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MOST_FILES = 1_000_000
PICTURES = (".jpg", ".jpeg", ".png")
SPLITS = {
    "train": ("train", "training", "train2017", "train2014"),
    "eval": ("val", "valid", "validation", "val2017", "val2014", "eval", "test"),
}
"""The usual words for the two halves, the preferred ones first."""


@dataclass
class Files:
    """Paths within ``root``, sorted, by lower-case ending with its dot."""

    root: Path
    by_ending: dict[str, list[PurePosixPath]] = field(default_factory=dict)

    def of(self, *endings: str) -> list[PurePosixPath]:
        return [path for ending in endings for path in self.by_ending.get(ending, [])]


def find(root: Path) -> Files:
    """All plain files below ``root``, hidden ones and links left out; at most MOST_FILES. OSError if there is none."""
    found = Files(root)
    count = 0
    for place, folders, names in os.walk(root, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith(".") or path.is_symlink() or count >= MOST_FILES:
                continue
            count += 1
            relative = PurePosixPath(path.relative_to(root).as_posix())
            found.by_ending.setdefault(path.suffix.lower(), []).append(relative)
    return found


def main_folder(paths: Iterable[PurePosixPath]) -> PurePosixPath | None:
    """The folder that directly holds most of ``paths``."""
    counted = Counter(path.parent for path in paths)
    return min(counted, key=lambda folder: (-counted[folder], str(folder))) if counted else None


def split_words(folders: Iterable[PurePosixPath]) -> tuple[str, str] | None:
    """The words (train, eval) that name two halves among the parts of ``folders``."""
    parts = {part for folder in folders for part in folder.parts}
    words = [next((word for word in SPLITS[half] if word in parts), None) for half in ("train", "eval")]
    return (words[0], words[1]) if words[0] is not None and words[1] is not None else None


def _raise(error: OSError) -> None:
    raise error
