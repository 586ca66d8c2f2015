"""The makespan that is simulated, beside the one of a cluster whose steps take known times."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.cluster.fill import fill
from builder.cluster.graph import graph_of
from builder.cost.forecast import forecast
from builder.cost.model import CostModel
from builder.cost.simulate import Cluster
from builder.plan.step import Plan, Step
from builder.plan.summary import PlanLine, step_lines
from builder.store.places import open_store
from tests.cluster.local import local_cluster
from tests.cluster.noop import CODE, noop_step, plan_of

WORKERS = 2
CHAINS = {
    "a": {"ingest-a": 0.3, "train-a": 4.0, "export-a": 0.6, "verify-a": 0.8},
    "b": {"ingest-b": 0.5, "train-b": 1.5, "export-b": 0.9, "verify-b": 0.4},
    "c": {"ingest-c": 0.4, "train-c": 2.0, "export-c": 0.5, "verify-c": 1.2},
    "d": {"ingest-d": 0.2, "train-d": 0.8, "export-d": 0.7, "verify-d": 0.3},
}


TOLERANCE = 0.35
"""For machines on which other tests run; ``python -m tests.bench.makespan`` tells how near it is."""


def chain(name: str, seconds: Mapping[str, float]) -> Plan:
    """Steps of these names that last so long, one after another; they leave the processors alone."""
    steps: list[Step] = []
    for step, duration in seconds.items():
        needs = [steps[-1].name] if steps else []
        steps.append(noop_step(step, *needs, key=name, seconds=duration))
    return plan_of(name, *steps)


def test_a_cluster_takes_as_long_as_is_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs come from the runs of a first build, as the store remembers them."""
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))
    with local_cluster(tmp_path, WORKERS) as cluster:
        store: Any = open_store(cluster.store)
        for build in ("first", "second"):
            plans = [chain(f"{build}-{name}", seconds) for name, seconds in CHAINS.items()]
            costs = CostModel.learnt(store.recent(100))
            lines = [PlanLine(plan.name, plan.digest, step_lines(plan), {}) for plan in plans]
            predicted = forecast(lines, lambda _: False, costs, Cluster(WORKERS))
            begun: list[float] = []

            def heard(kind: str, detail: Mapping[str, Any], begun: list[float] = begun) -> None:
                if kind in ("preparing", "finished"):
                    begun.append(time.monotonic())

            filled = fill(
                plans, code=CODE, sources=lambda digest: Path(), store=store, scheduler=cluster.address, demand={},
                costs=costs, emit=heard,
            )  # fmt: skip
            assert filled.ran.keys() == graph_of(plans).steps.keys()
    assert predicted.predicted == ()
    assert begun[-1] - begun[0] == pytest.approx(predicted.simulation.makespan, rel=TOLERANCE)
