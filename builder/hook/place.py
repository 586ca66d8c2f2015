"""Where the hook of a repository keeps its things: the folder ``tinsmith`` in the git folder, which no push reaches."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.whole import write_whole

FOLDER = "tinsmith"


@dataclass(frozen=True)
class Place:
    """``git_dir``: the repository; of a bare one the folder itself, else its ``.git``."""

    git_dir: Path

    @property
    def folder(self) -> Path:
        return self.git_dir / FOLDER

    @property
    def jobs(self) -> Path:
        """A file a job, see ``builder.hook.queue``."""
        return self.folder / "jobs"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def work(self) -> Path:
        """What jobs are checked out and built in; only of the running one there is anything."""
        return self.folder / "work"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    def log(self, number: int) -> Path:
        return self.logs / f"{number}.log"


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes at once, and for good: a reader, or a machine that lost its power, never has half of it."""
    write_whole(path, json.dumps(document, indent=1, sort_keys=True).encode("utf-8"), 0o600)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
