"""Control groups: some share of the processors for all processes of a host, and a list of these processes."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.cluster.lacking import NoHosts

_ROOT = Path("/sys/fs/cgroup")
_PERIOD = 100_000
"""Microseconds; the kernel's own choice."""
_PATIENCE_SECONDS = 20.0


class Group:
    """``cores``: how much processor time its processes get together in a second; ``None``: as much as there is.

    NoHosts where this machine gives out no processor time by group.
    """

    def __init__(self, name: str, cores: float | None = None) -> None:
        self.folder = _hierarchy() / name
        quota = -1 if cores is None else int(cores * _PERIOD)
        try:
            self.folder.mkdir()
            if (self.folder / "cpu.max").exists():
                (self.folder / "cpu.max").write_text(f"{'max' if quota < 0 else quota} {_PERIOD}")
            else:
                (self.folder / "cpu.cfs_period_us").write_text(str(_PERIOD))
                (self.folder / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError as error:
            raise NoHosts(f"no control group can be made in {self.folder.parent}: {error}") from error

    @property
    def entrance(self) -> Path:
        """Whatever process id is written there, that process is in the group, as will be all that it starts."""
        return self.folder / "cgroup.procs"

    def processes(self) -> list[int]:
        return processes(self.folder)

    def kill(self) -> int:
        """Kills every process in it and returns how many there were; none is left."""
        return kill(self.folder)

    def remove(self) -> None:
        remove(self.folder)


def processes(folder: Path) -> list[int]:
    with suppress(FileNotFoundError):
        # The file lists a process of another pid namespace as 0.
        return sorted({int(line) for line in (folder / "cgroup.procs").read_text().split()} - {0})
    return []


def kill(folder: Path) -> int:
    killed: set[int] = set()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while found := processes(folder):
        killed.update(found)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{folder}: {found} cannot be killed")
        time.sleep(0.01)
    return len(killed)


def remove(folder: Path) -> None:
    kill(folder)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:  # the last of the killed are still being taken down
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def leftovers(prefix: str) -> list[Path]:
    with suppress(NoHosts):
        return sorted(_hierarchy().glob(f"{prefix}*"))
    return []


def _hierarchy() -> Path:
    """Where groups with a quota can be made: version 2 of control groups, or version 1's for processors."""
    with suppress(OSError):
        if "cpu" in (_ROOT / "cgroup.controllers").read_text().split():
            (_ROOT / "cgroup.subtree_control").write_text("+cpu")
            return _ROOT
    for name in ("cpu", "cpu,cpuacct"):
        if (_ROOT / name / "cpu.cfs_quota_us").exists() or (_ROOT / name / "cgroup.procs").exists():
            return _ROOT / name
    raise NoHosts("the kernel gives out no processor time by control group")
