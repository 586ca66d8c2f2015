"""A ``tinsmith build`` in the midst of a training, watched closely enough to be killed at a chosen moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.integration.conftest import TINSMITH, environment

_POLL_SECONDS = 0.0005
_LONGEST_SECONDS = 600.0


class Building:
    """``tinsmith build`` of ``folder``'s manifest; ``scratch`` is where the step ``train`` keeps its checkpoints."""

    def __init__(self, folder: Path, manifest: str, scratch: Path, engine: str = "local") -> None:
        self.scratch = scratch
        self.trains = threading.Event()
        self._folder = folder
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [*TINSMITH, "build", manifest, "--engine", engine, "--progress", "json"],
            cwd=folder,
            env=environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if not line.startswith("{"):  # an error's text, at the end
                self.events.append({"kind": "text", "detail": {"text": line.rstrip()}})
                continue
            event = json.loads(line)
            self.events.append(event)
            if event["kind"] == "progress" and event["detail"].get("stage") == "training":
                self.trains.set()

    def wait(self) -> int:
        code = self.process.wait(_LONGEST_SECONDS)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def wait_for_training(self) -> bool:
        """Whether it has done a step; False if it ended before."""
        while not self.trains.wait(0.01):
            if self.process.poll() is not None:
                return False
        return True

    def writes(self) -> bool:
        """Waits until a checkpoint is being written; False if the build ended before."""
        path = str(self.scratch / "unfinished.tmp")
        while not os.path.exists(path):  # noqa: PTH110  (the quickest)
            if self.process.poll() is not None:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def kill(self, victim: str) -> bool:
        """Kills the build (``tinsmith``) or its step (``step``). False if there was nothing left to kill."""
        pids = [self.process.pid] if victim == "tinsmith" else _steps(self._folder)
        alive = self.process.poll() is None and bool(pids)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return alive

    def kill_at_random(self, chance: random.Random, kinds: list[str], start_seconds: float) -> str | None:
        """Kills it at a moment of one of ``kinds``; what was done, or None if the build ended before."""
        kind, victim = chance.choice(kinds), chance.choice(["tinsmith", "step"])
        if kind == "starting":
            time.sleep(chance.uniform(0, start_seconds))
        elif kind == "training":
            if not self.wait_for_training():
                return None
            time.sleep(chance.uniform(0, 0.3))
        elif not self.writes():
            return None
        if victim == "step" and not _steps(self._folder):
            victim = "tinsmith"
        return f"{victim} while {kind}" if self.kill(victim) else None


def _steps(folder: Path) -> list[int]:
    """The Python processes that run a step of a build in ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0].endswith(b"python") and any(
                word.startswith(str(folder).encode()) and word.endswith(b"/run.py") for word in words
            ):
                found.append(int(path.parent.name))
    return found


def size(folder: Path) -> int:
    """Bytes of all files below ``folder``, of which some may go meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total
