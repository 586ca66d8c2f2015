"""Steps that sleep for as long as their parameters say; ``--preload tests.cluster.sleeping`` makes workers for them.

They leave the processors alone, so that what a cluster makes of known times does not depend on what else runs here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from builder.digest import digest_json
from builder.engine.base import Emit, Workspace
from builder.plan.step import Plan, Step, StepInput
from tests.cluster import noop


class SleepingEngine(noop.NoopEngine):
    def run(self, step: Step, workspace: Workspace, emit: Emit) -> Mapping[str, Any]:
        time.sleep(step.params["seconds"])
        return super().run(step, workspace, emit)


def chain(name: str, seconds: Mapping[str, float]) -> Plan:
    """Steps of these names that sleep one after another."""
    steps: list[Step] = []
    for step, duration in seconds.items():
        needs = (StepInput("before", step=steps[-1].name),) if steps else ()
        params, key = {"seconds": duration}, digest_json([name, step])
        steps.append(Step(step, "sleeping", noop.TOOLCHAIN, params, needs, ("run.py",), key, memory_mb=1))
    return Plan(name, "1.0.0", tuple(steps), steps[-1].name, digest_json(name))


def dask_setup(worker: Any) -> None:
    noop.set_up(worker, SleepingEngine())
