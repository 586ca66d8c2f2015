"""``--engine dask``: has a cluster run what the shared store lacks of some plans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cluster.client import Filled, Filling
from builder.cluster.connection import Connection
from builder.cluster.graph import graph_of
from builder.cluster.job import this_version
from builder.cluster.resources import Resources, demanded, kinship
from builder.cluster.watch import Demands
from builder.cost.model import CostModel
from builder.cost.order import ranks
from builder.cost.work import work
from builder.engine.base import Emit
from builder.plan.code import StepCode
from builder.plan.step import Plan, Step

if TYPE_CHECKING:
    from builder.store.cached import CachedStore


def fill(
    plans: Iterable[Plan],
    *,
    code: StepCode,
    sources: Callable[[str], Path],
    store: CachedStore,
    scheduler: str,
    demand: Mapping[str, Resources],
    costs: CostModel,
    emit: Emit,
) -> Filled:
    """What became of the steps of ``plans``; errors as for ``Filling.run``.

    ``demand``: resources that steps need beyond what is known of them, by step name, as ``tinsmith.toml`` has them.
    """
    graph = graph_of(plans)
    seconds = {key: costs.seconds(step.name, work(step)) for key, step in graph.steps.items()}
    order = ranks({key: list(needs.values()) for key, needs in graph.needs.items()}, seconds)

    kin = kinship(store.identity(), this_version())

    def demands(steps: Iterable[Step], offers: Sequence[Resources]) -> Demands:
        return {
            step.key: demanded(
                step, costs.memory_mb(step.name, work(step)), {**kin, **demand.get(step.name, {})}, offers
            )
            for step in steps
        }

    connection = Connection(scheduler, emit)
    try:
        return Filling(
            graph, code=code, sources=sources, store=store, connection=connection, demand=demands, ranks=order,
            emit=emit,
        ).run()  # fmt: skip
    finally:
        connection.close()
