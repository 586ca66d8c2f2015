"""Where things lie unless a flag or a variable says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

STORE = Path(".tinsmith/store")
RELEASES = Path("releases")
FILES = Path("build")


def cache_folder() -> Path:
    """Toolchains and fetched sources, shared by all projects of a user: ``TINSMITH_CACHE`` or the XDG cache."""
    if chosen := os.environ.get("TINSMITH_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinsmith"
