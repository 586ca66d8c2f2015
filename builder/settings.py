"""Where things lie unless a flag or a variable says otherwise."""

from __future__ import annotations

import os
import re
from pathlib import Path

from builder.errors import UsageError

STORE = Path(".tinsmith/store")
RELEASES = Path("releases")
FILES = Path("build")
ENGINES = ("auto", "docker", "local")
BUILD_ENGINES = (*ENGINES, "dask")
"""Those that ``tinsmith build`` knows."""


def threads() -> int:
    """For steps whose result does not depend on it: ``TINSMITH_THREADS``, or the processors that this process may use.

    UsageError if the variable holds no positive number.
    """
    chosen = os.environ.get("TINSMITH_THREADS")
    if not chosen:
        return len(os.sched_getaffinity(0))
    if not (chosen.isdecimal() and 0 < int(chosen) < 1000):
        raise UsageError(f"TINSMITH_THREADS is {chosen!r}, which is no number of threads", help="1, 2, …")
    return int(chosen)


def store_patience() -> float:
    """How many seconds a shared store may be away: ``TINSMITH_STORE_PATIENCE``. UsageError if that is no number."""
    return _number("TINSMITH_STORE_PATIENCE", "60", "seconds")


def store_cache_bytes() -> int:
    """What of a shared store is kept on this machine: ``TINSMITH_STORE_CACHE_GB``. UsageError as above."""
    return int(_number("TINSMITH_STORE_CACHE_GB", "20", "gigabytes") * 1e9)


def cluster_patience() -> float:
    """How many seconds to wait for a scheduler, or a worker that can take a step: ``TINSMITH_CLUSTER_PATIENCE``.
    UsageError as above."""
    return _number("TINSMITH_CLUSTER_PATIENCE", "300", "seconds")


def _number(variable: str, default: str, unit: str) -> float:
    chosen = os.environ.get(variable) or default
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", chosen):
        raise UsageError(f"{variable} is {chosen!a:.50}, which is no number of {unit}", help=f"such as {default}")
    return float(chosen)


def cache_folder() -> Path:
    """Toolchains and fetched sources, shared by all projects of a user: ``TINSMITH_CACHE`` or the XDG cache."""
    if chosen := os.environ.get("TINSMITH_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinsmith"


def state_folder() -> Path:
    """What this machine remembers of registries between runs: ``TINSMITH_STATE`` or the XDG state folder."""
    if chosen := os.environ.get("TINSMITH_STATE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tinsmith"
