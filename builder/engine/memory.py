"""How much memory a session of processes uses (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

_SESSION = 3
"""Index of the session id among the fields of /proc/PID/stat that follow the command's name."""


def session_memory_mb(session: int) -> float:
    """Resident private memory of all processes of ``session``, in MB (2**20 bytes); 0 if unreadable."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The command's name is in brackets and may hold anything, spaces and brackets too.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[_SESSION]) == session:
                _, resident, shared, *_ = (folder / "statm").read_text().split()
                total += (int(resident) - int(shared)) * page
        except (OSError, ValueError, IndexError):
            continue
    return total / 2**20
