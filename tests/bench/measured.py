"""A command as a user waits for it: seconds, and the most memory that all of its processes had together."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.01


@dataclass(frozen=True)
class Measured:
    """``processor``: seconds of all processors together, which other programs on the machine lengthen less.

    ``megabytes``: resident, summed over the processes, so that what they share counts for each of them.
    """

    seconds: float
    processor: float
    megabytes: float
    output: bytes

    def __str__(self) -> str:
        return f"{self.seconds:6.2f} s ({self.processor:5.2f} s of processors) {self.megabytes:5.0f} MB"


def measured(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Measured:
    """``command`` run in ``folder``; it must end with 0."""
    begun, used = time.perf_counter(), _used()
    process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=subprocess.PIPE)
    peak = _Peak(process.pid)
    peak.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - begun
    peak.stop()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}: exit {process.returncode}")
    return Measured(seconds, _used() - used, peak.bytes / 1e6, output)


def _used() -> float:
    """Of all children that have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


class _Peak(threading.Thread):
    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root, self.bytes, self._done = root, 0, threading.Event()

    def run(self) -> None:
        while not self._done.wait(_EVERY):
            self.bytes = max(self.bytes, sum(_resident(process) for process in _tree(self.root)))

    def stop(self) -> None:
        self._done.set()
        self.join()


def _tree(root: int) -> Iterable[int]:
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                waiting += map(int, task.read_text().split())
            except OSError:
                continue  # it has just ended


def _resident(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmRSS:")[2].split()[0]) << 10 if "VmRSS:" in status else 0
