"""Steps that do nothing, and workers that run them: what a cluster costs beside the work.

``dask worker … --preload tests.cluster.noop`` makes a worker whose engine leaves one small file; its store is that of
TINSMITH_STORE.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from builder.cluster import context
from builder.digest import digest_bytes, digest_json
from builder.engine.base import Emit, Workspace
from builder.plan.step import Plan, Step, Toolchain
from builder.store.places import open_store

NOTHING = digest_bytes(b"")
TOOLCHAIN = Toolchain("noop", "3.11", "", NOTHING, NOTHING, NOTHING)
CODE = {"run.py": b""}


class NoopEngine:
    """See ``builder.engine.base.Engine``."""

    name = "noop"
    isolation = "none"

    def prepare(self, toolchain: Toolchain, emit: Emit) -> None:
        pass

    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        data = nothing(step.key).encode()
        (workspace.output / "out.txt").write_bytes(data)
        files = [{"path": "out.txt", "sha256": hashlib.sha256(data).hexdigest()}]
        (workspace.output / "result.json").write_text(json.dumps({"nonce": workspace.nonce, "files": files}))
        return {}

    def close(self) -> None:
        pass


def nothing(key: str) -> str:
    """What a step with this ``key`` does."""
    return f"nothing for {key}\n"


def noop_plan(name: str, count: int) -> Plan:
    """``count`` steps that do not wait for each other."""
    steps = tuple(
        Step(f"noop-{number}", "noop", TOOLCHAIN, {}, (), ("run.py",), digest_json([name, number]), memory_mb=1)
        for number in range(count)
    )
    return Plan(name, "1.0.0", steps, steps[-1].name, digest_json(name))


def dask_setup(worker: Any) -> None:
    from builder.cluster.resources import MEMORY, SLOTS, toolchain

    offer = {SLOTS: float(worker.state.nthreads), MEMORY: 8000.0, toolchain("noop", NOTHING): 1e9}
    worker.state.total_resources.update(offer)
    worker.state.available_resources.update(offer)
    engine = NoopEngine()
    store: Any = open_store(os.environ["TINSMITH_STORE"])
    context.install(context.Context(str(worker.name), store, lambda: engine))
