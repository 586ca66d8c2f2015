"""What building some plans would take on a cluster: their steps without a result, at what steps cost, simulated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from builder.cost.model import CostModel
from builder.cost.simulate import Cluster, Simulation, Task, rank_of, simulate
from builder.digest import Digest
from builder.errors import UsageError
from builder.plan.summary import PlanLine, StepLine

HANDOUT_SECONDS = 0.2
"""Of each step: the scheduler hands it out, the worker looks it up, and records its result."""

_AS_GOOD = 1.02
"""Times the makespan on any number of workers: nobody would notice."""
_CLOSE = 1.05


@dataclass(frozen=True)
class Leg:
    """A step of the longest path, in one of the plans that it belongs to."""

    plan: str
    name: str
    key: Digest
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """``steps`` are to run, ``cached`` are not. ``enough``: about how many workers there is no use in exceeding.

    ``runs``: past runs that the costs come from; ``predicted``: names of steps to run that none of these was of.
    """

    cluster: Cluster
    steps: int
    cached: int
    simulation: Simulation
    path: tuple[Leg, ...]
    enough: int
    runs: int
    predicted: tuple[str, ...]


def forecast(
    plans: Iterable[PlanLine], cached: Callable[[Digest], bool], costs: CostModel, cluster: Cluster
) -> Forecast:
    """Of ``plans``, which may share steps. UsageError for a step that needs more memory than a worker has."""
    lines: dict[Digest, tuple[PlanLine, StepLine]] = {}
    for plan in plans:
        for step in plan.steps:
            lines.setdefault(step.key, (plan, step))
    to_run = {key: line for key, line in lines.items() if not cached(key)}
    tasks = {key: _task(plan, step, to_run, costs, cluster) for key, (plan, step) in to_run.items()}
    rank = rank_of(tasks)
    found = simulate(tasks, cluster, rank)
    legs = (Leg(to_run[key][0].name, to_run[key][1].name, key, tasks[key].seconds) for key in found.path)
    names = dict.fromkeys(step.name for _, step in to_run.values())
    return Forecast(
        cluster=cluster,
        steps=len(to_run),
        cached=len(lines) - len(to_run),
        simulation=found,
        path=tuple(legs),
        enough=enough(tasks, cluster, rank),
        runs=costs.runs,
        predicted=tuple(name for name in names if costs.source(name) == "predicted"),
    )


def enough(tasks: Mapping[Digest, Task], cluster: Cluster, rank: Mapping[Digest, float]) -> int:
    """About the fewest workers that take no longer than any number of them."""
    if not tasks:
        return 1

    def on(workers: int) -> Simulation:
        return simulate(tasks, replace(cluster, workers=workers), rank)

    best = on(len(tasks))
    # Of so many the slots would have to be busy all the time; of so many each takes one step or more at once.
    least = max(1, math.ceil(best.total / (best.makespan * _AS_GOOD * cluster.slots)))
    most = max(least, best.most)
    while most > least * _CLOSE and most - least >= 1:
        middle = (least + most) // 2
        if on(middle).makespan <= _AS_GOOD * best.makespan:
            most = middle
        else:
            least = middle + 1
    return most


def _task(plan: PlanLine, step: StepLine, to_run: Mapping[Digest, object], costs: CostModel, cluster: Cluster) -> Task:
    keys = {other.name: other.key for other in plan.steps if other.name in step.needs}
    memory, whole = 0.0, cluster.memory_mb
    if whole is not None:
        known = costs.memory_mb(step.name, step.work)
        # Of what nobody has seen nobody knows what may run beside it.
        memory = whole if known is None else float(math.ceil(known))
        if memory > whole:
            raise UsageError(
                f"step {step.name} of {plan.name} needs {memory:,.0f} MB of memory, going by past runs, and a worker "
                f"has {whole:,.0f}",
                help=f"memory={memory:.0f}, or more",
            )
    seconds = HANDOUT_SECONDS + costs.moving_seconds(step.name) + costs.seconds(step.name, step.work)
    return Task(seconds, tuple(key for key in keys.values() if key in to_run), memory)
