"""Steps that do nothing, or what a test wants, and workers that run them: what a cluster is, beside the work.

``dask worker … --preload tests.cluster.noop`` makes a worker whose engine leaves one small file; its store is that of
TINSMITH_STORE.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.cluster import context
from builder.digest import Digest, digest_bytes, digest_json, hex_of
from builder.engine.base import Emit, Workspace
from builder.errors import StepFailed
from builder.plan.step import Plan, Step, StepInput, Toolchain
from builder.store.cached import CachedStore
from builder.store.places import open_shared

POISONED = "TINSMITH_TEST_POISONED"
NOTHING = digest_bytes(b"")
TOOLCHAIN = Toolchain("noop", "3.11", "", NOTHING, NOTHING, NOTHING)
CODE = {"run.py": b""}


class NoopEngine:
    """See ``builder.engine.base.Engine``. Parameters of a step: ``log``, a file that gets a line at its start and end;
    ``seconds`` that it lasts; ``fail``, an error. Its output names its key, so that it is the same wherever it ran."""

    name = "noop"
    isolation = "none"

    def prepare(self, toolchain: Toolchain, emit: Emit) -> None:
        pass

    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        log(step, "started")
        try:
            until = time.monotonic() + step.params.get("seconds", 0.0)
            while time.monotonic() < until:
                emit("progress", {"done": 1, "total": 2})
                time.sleep(0.05)
            if "fail" in step.params:
                raise StepFailed(step.params["fail"])
            for folder in workspace.inputs.values():
                assert next(folder.iterdir()).read_bytes()
        finally:
            log(step, "ended")
        data = nothing(step.key).encode()
        (workspace.output / "out.txt").write_bytes(data)
        files = [{"path": "out.txt", "sha256": hashlib.sha256(data).hexdigest()}]
        (workspace.output / "result.json").write_text(json.dumps({"nonce": workspace.nonce, "files": files}))
        return {}

    def close(self) -> None:
        pass


def log(step: Step, what: str) -> None:
    if "log" in step.params:
        with Path(step.params["log"]).open("a") as stream:
            stream.write(f"{step.key} {what}\n")


def nothing(key: str) -> str:
    """What a step with this ``key`` does."""
    return f"nothing for {key}\n"


def noop_step(name: str, *needs: str, key: object = None, toolchain: Toolchain = TOOLCHAIN, **params: Any) -> Step:
    inputs = tuple(StepInput(need, step=need) for need in needs)
    return Step(name, "noop", toolchain, params, inputs, ("run.py",), digest_json([name, key]), memory_mb=1)


def noop_plan(name: str, count: int) -> Plan:
    """``count`` steps that do not wait for each other."""
    return plan_of(name, *(noop_step(f"noop-{number}", key=name) for number in range(count)))


def plan_of(name: str, *steps: Step) -> Plan:
    return Plan(name, "1.0.0", steps, steps[-1].name, digest_json(name))


def dask_setup(worker: Any) -> None:
    from builder.cluster.job import this_version
    from builder.cluster.resources import AMPLE, MEMORY, SLOTS, kinship, toolchain

    store = open_shared(os.environ["TINSMITH_STORE"])
    offer = {SLOTS: float(worker.state.nthreads), MEMORY: 8000.0, toolchain("noop", NOTHING): AMPLE}
    offer |= dict.fromkeys(kinship(store.identity(), this_version()), AMPLE)
    worker.state.total_resources.update(offer)
    worker.state.available_resources.update(offer)
    if POISONED in os.environ:
        store = poisoned(store)
    context.install(context.Context(str(worker.name), store, NoopEngine))


def poisoned(store: CachedStore) -> CachedStore:
    """``store``, but files that are written come out with other bytes under their right names."""
    folder = Path(os.environ["TINSMITH_STORE"].removeprefix("file://"))
    right = store.write

    def wrong(path: Path) -> Digest:
        digest = right(path)
        blob = folder / "blobs" / "sha256" / hex_of(digest)
        blob.chmod(0o644)
        blob.write_bytes(b"x" * blob.stat().st_size)
        return digest

    store.write = wrong  # type: ignore[method-assign]
    return store
