"""An engine that plays steps back: it leaves what one machine has made of a step before, after a moment.

So a build that takes minutes of TensorFlow takes seconds, in which scheduler, workers and store do all they ever do,
and many more of them can be killed. It is no way around a mistake: an input with a byte that the first machine did not
have fails the step. Trainings take their time in steps, write checkpoints and go on from them. Measurements differ in
each run, as they do.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.digest import digest_file
from builder.engine.base import Emit, Workspace
from builder.errors import StepFailed
from builder.plan.step import Step, Toolchain
from builder.store.disk import DiskStore
from builder.store.workspaces import CHECKPOINTS
from tests.cluster.hosts import ROOT

STEPS, EVERY = 24, 3
"""Of a training that is played back, and its checkpoints."""
_STEP_SECONDS = 0.25
_DAMAGED = "an input of this step is not what it was on one machine"


def replaying(store: Path, *, poisoned: bool = False) -> dict[str, str]:
    """Variables for a worker that plays back what is in ``store``."""
    site = {"PYTHONPATH": f"{ROOT / 'tests' / 'cluster' / 'site'}:{ROOT}", "TINSMITH_TEST_REPLAY": str(store)}
    return {**site, "TINSMITH_TEST_POISON": "1"} if poisoned else site


def poisoned() -> dict[str, str]:
    """Variables for a worker that works, and uploads other bytes than it names."""
    return {"PYTHONPATH": f"{ROOT / 'tests' / 'cluster' / 'site'}:{ROOT}", "TINSMITH_TEST_POISON": "1"}


class ReplayEngine:
    """See ``builder.engine.base.Engine``. ``store`` is that of a finished build."""

    name = "replay"
    isolation = "none"

    def __init__(self, store: Path) -> None:
        self._store = DiskStore(store)

    @classmethod
    def from_environment(cls) -> ReplayEngine:
        return cls(Path(os.environ["TINSMITH_TEST_REPLAY"]))

    def prepare(self, toolchain: Toolchain, emit: Emit) -> None:
        pass

    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        self._check(workspace)
        if step.resumable:
            _train(workspace.output / CHECKPOINTS, step, emit)
        else:
            _pause(random.uniform(0.2, 2.0))
        result = self._store.lookup(step.key)
        if result is None:
            raise StepFailed(f"one machine has not run the step {step.name} {step.key}")
        for artifact in result.artifacts:
            self._store.copy_to(artifact.digest, workspace.output / artifact.path)
        if step.name == "measure":
            _measured(workspace.output / "latency.json")
        files = [
            {"path": item.path, "sha256": hashlib.sha256((workspace.output / item.path).read_bytes()).hexdigest()}
            for item in result.artifacts
        ]
        (workspace.output / "result.json").write_text(json.dumps({"nonce": workspace.nonce, "files": files}))
        return {}

    def close(self) -> None:
        pass

    def _check(self, workspace: Workspace) -> None:
        for folder in workspace.inputs.values():
            for path in folder.rglob("*"):
                if path.is_file() and not self._store.has(digest_file(path)):
                    raise StepFailed(f"{_DAMAGED}: {path.name}")


def _train(folder: Path, step: Step, emit: Emit) -> None:
    """Checkpoints hold the number of their step, behind its sha256 as those of real trainings."""
    folder.mkdir(exist_ok=True)
    begin = 0
    for path in sorted(folder.glob("*.checkpoint")):
        data = path.read_bytes()
        if data[:32] == hashlib.sha256(data[32:]).digest() and data[32:].startswith(step.key.encode()):
            begin = max(begin, int(data.rpartition(b" ")[2]))
    if begin:
        emit("message", {"text": f"going on from step {begin}"})
    for number in range(begin + 1, STEPS + 1):
        _pause(_STEP_SECONDS)
        emit("progress", {"stage": "training", "step": number, "steps": STEPS})
        if number % EVERY == 0:
            body = f"{step.key} {number}".encode()
            unfinished = folder / "unfinished.tmp"
            unfinished.write_bytes(hashlib.sha256(body).digest() + body)
            unfinished.rename(folder / f"step-{number:08d}.checkpoint")


def _measured(path: Path) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "load_ms": round(random.uniform(1, 9), 3)}))


def _pause(seconds: float) -> None:
    """In pieces: a worker that is told to stop interrupts between two of them."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))
