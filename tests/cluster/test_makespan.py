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
from builder.plan.summary import PlanLine, step_lines
from builder.store.places import open_store
from tests.bench.cluster_overhead import cluster
from tests.cluster.noop import CODE
from tests.cluster.sleeping import chain

WORKERS = 2
CHAINS = {
    "a": {"ingest-a": 0.3, "train-a": 4.0, "export-a": 0.6, "verify-a": 0.8},
    "b": {"ingest-b": 0.5, "train-b": 1.5, "export-b": 0.9, "verify-b": 0.4},
    "c": {"ingest-c": 0.4, "train-c": 2.0, "export-c": 0.5, "verify-c": 1.2},
    "d": {"ingest-d": 0.2, "train-d": 0.8, "export-d": 0.7, "verify-d": 0.3},
}


def test_a_cluster_takes_as_long_as_is_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs come from the runs of a first build, as the store remembers them."""
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))
    store: Any = open_store(f"file://{tmp_path / 'store'}")
    with cluster(tmp_path, WORKERS, "tests.cluster.sleeping") as address:
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
                plans, code=CODE, sources=lambda digest: Path(), store=store, scheduler=address, demand={},
                costs=costs, emit=heard,
            )  # fmt: skip
            assert filled.ran.keys() == graph_of(plans).steps.keys()
    assert predicted.predicted == ()
    assert begun[-1] - begun[0] == pytest.approx(predicted.simulation.makespan, rel=0.2)
