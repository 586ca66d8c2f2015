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
        self.trains_after: float | None = None  # seconds from its start to its first training step
        self._folder, self._begun = folder, time.monotonic()
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
                if self.trains_after is None:
                    self.trains_after = time.monotonic() - self._begun
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
        """Waits until it trains and a checkpoint is being written; False if the build ended before."""
        if not self.wait_for_training():  # what a killed writer left is gone by then
            return False
        path = str(self.scratch / "unfinished.tmp")
        while not os.path.exists(path):  # noqa: PTH110  (the quickest)
            if self.process.poll() is not None:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def kill_at_random(self, chance: random.Random, kinds: list[str], start_seconds: float) -> str | None:
        """Kills it, or its step alone, at a moment of one of ``kinds``.

        Returns what was killed and when, or None if the build ended before. ``start_seconds``: how long it surely takes
        until it trains.
        """
        kind, victim = chance.choice(kinds), chance.choice(["tinsmith", "step"])
        if kind == "starting":
            time.sleep(chance.uniform(0, start_seconds))
        elif not self.wait_for_training():
            return None
        # Looked up beforehand: writing a checkpoint takes less time than looking.
        pids = _steps(self._folder) if victim == "step" else []
        if kind == "training":
            time.sleep(chance.uniform(0, 0.3))
        elif kind == "writing" and not self.writes():
            return None
        if self.process.poll() is not None:
            return None
        for pid in pids or [self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return f"{'step' if pids else 'tinsmith'} while {kind}"


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
