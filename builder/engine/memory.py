"""How much memory a session of processes uses (Linux)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_SESSION = 3
"""Index of the session id among the fields of /proc/PID/stat that follow the command's name."""
_HIGH_WATER = "VmHWM:"


@dataclass(frozen=True)
class Memory:
    """Resident private memory in MB (2**20 bytes). ``now``: of all processes together; ``most``: that, or what one of
    them alone has had since it began, where that is more."""

    now: float
    most: float


def session_memory(session: int) -> Memory:
    """What the processes of ``session`` use; zeros if there is none, or none is readable."""
    page = os.sysconf("SC_PAGE_SIZE")
    total, most = 0, 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The command's name is in brackets and may hold anything, spaces and brackets too.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[_SESSION]) == session:
                _, resident, shared, *_ = (folder / "statm").read_text().split()
                total += (int(resident) - int(shared)) * page
                most = max(most, _high_water(folder) - int(shared) * page)
        except (OSError, ValueError, IndexError):
            continue
    return Memory(total / 2**20, max(total, most) / 2**20)


def _high_water(folder: Path) -> int:
    """The most bytes that a process had resident since it began; 0 for one that has just ended."""
    _, found, rest = (folder / "status").read_text().partition(_HIGH_WATER)
    return int(rest.split(maxsplit=1)[0]) << 10 if found else 0
