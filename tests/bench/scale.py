"""``python -m tests.bench.scale``: 10,000 manifests on 1 to 1,000 workers, from measured costs; what gives way first.

The manifests are variations of manifests/shapes.yaml that share its data. Their steps cost what scale_costs.json says,
which ``--learn STORE`` makes anew from a store in which manifests/shapes.yaml was built. In the same run this measures
what a Dask scheduler manages with 10, 100 and more workers, what stores manage, and what a step asks of its store.
Printed are the tables of docs/scale.md; ``--picture FILE`` draws makespan against workers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from builder.cost.forecast import AROUND_SECONDS
from builder.cost.model import CostModel
from builder.cost.simulate import Cluster, Simulation, Task, rank_of, simulate
from builder.digest import Digest, digest_json
from builder.lock.file import load_lock, lock_text
from builder.manifest.load import loads
from builder.plan.code import read_step_code
from builder.plan.make import make_plan
from builder.plan.step import Plan
from builder.plan.summaries import summaries
from builder.plan.summary import Summary, Texts
from builder.resources import steps_folder
from builder.store.base import StepResult
from builder.store.places import open_store
from tests.bench.scale_rates import Asked, SchedulerRate, StoreRate, asked, scheduler_rate, store_rates
from tests.integration.conftest import ROOT

BASE = "shapes"
COSTS = Path(__file__).with_name("scale_costs.json")
WORKERS = (1, 10, 32, 100, 320, 1000)
RATED = (10, 100, 300)
_RATED_PLANS = 200
Costs = Mapping[str, Any]


def base_plan() -> Plan:
    manifests = ROOT / "manifests"
    family = loads((manifests / f"{BASE}.yaml").read_text(), BASE)
    return make_plan(family.manifests[0], load_lock(manifests / f"{BASE}.lock"), read_step_code(steps_folder()))


def learn(place: str) -> None:
    """Writes COSTS from the store at ``place``."""
    store, steps = open_store(place), {}
    for step in base_plan().steps:
        result = store.lookup(step.key)
        if result is None:
            raise SystemExit(
                f"{place} has no result of {step.name}: build manifests/{BASE}.yaml there, with nothing else"
            )
        if result.run.get("resumed") or "work" not in result.run:
            raise SystemExit(f"{step.name} in {place} was not measured whole: build it anew")
        files = {item.path: item.size for item in result.artifacts}
        steps[step.name] = {name: result.run.get(name) for name in ("seconds", "work", "memory_mb")} | {"files": files}
    COSTS.write_text(json.dumps({"machine": machine(), "steps": steps}, indent=2, sort_keys=True) + "\n")


def machine() -> str:
    told = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
    return f"{len(os.sched_getaffinity(0))} processors of {told or os.uname().machine}"


def model_of(costs: Costs) -> CostModel:
    """From one run of each step."""
    return CostModel.learnt(
        StepResult(digest_json(name), name, (), {key: step[key] for key in ("seconds", "work", "memory_mb")})
        for name, step in costs["steps"].items()
    )


def variations(count: int) -> list[Summary]:
    """The summaries of ``count`` manifests that differ in the training's seed."""
    text, lock = (ROOT / "manifests" / f"{BASE}.yaml").read_text(), load_lock(ROOT / "manifests" / f"{BASE}.lock")
    texts = []
    for number in range(count):
        name = f"{BASE}-{number:05d}"
        varied = text.replace(f"name: {BASE}\n", f"name: {name}\n").replace("seed: 1\n", f"seed: {number + 1}\n")
        locked = lock.model_copy(update={"manifest_digest": loads(varied, name).digest})
        texts.append(Texts(name, varied.encode(), lock_text(locked).encode()))
    begun = time.perf_counter()
    found = [item for item in summaries(texts, read_step_code(steps_folder())) if isinstance(item, Summary)]
    print(f"{len(found):,} manifests planned in {time.perf_counter() - begun:.1f} s")
    assert len(found) == count
    return found


def tasks_of(found: Sequence[Summary], costs: Costs) -> dict[Digest, Task]:
    """What each step moves: all that it writes, and reads of what earlier steps left; the data of ingest, which every
    plan shares, comes once to a worker and stays in its cache."""
    model, tasks = model_of(costs), {}
    written = {name: float(sum(step["files"].values())) for name, step in costs["steps"].items()}
    for plan in (plan for item in found for plan in item.plans):
        keys = {step.name: step.key for step in plan.steps}
        for step in plan.steps:
            read = sum(written[need] for need in step.needs if need != "ingest")
            seconds = model.seconds(step.name, step.work) + AROUND_SECONDS
            needs = tuple(keys[need] for need in step.needs)
            tasks.setdefault(step.key, Task(seconds, needs, moved=written[step.name] + read))
    return tasks


def table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rest)) + "\n"


def hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def demand(
    tasks: Mapping[Digest, Task], found: Simulation, per_step: Mapping[str, Asked], workers: int, data: float
) -> dict[str, float]:
    """What the whole asks of scheduler and store in a second, at the pace of the simulation."""
    requests = statistics.mean(item.requests for name, item in per_step.items() if name != "ingest")
    return {
        "tasks": len(tasks) / found.makespan,
        "requests": len(tasks) * requests / found.makespan,
        "bytes": (sum(task.moved for task in tasks.values()) + workers * data) / found.makespan,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale")
    parser.add_argument("--manifests", type=int, default=10_000)
    parser.add_argument("--learn", metavar="STORE", help="Write scale_costs.json from this store, and end.")
    parser.add_argument("--rated", type=int, nargs="*", default=RATED, help="Workers that a scheduler is tried with.")
    parser.add_argument("--picture", type=Path, help="An SVG of makespan against workers.")
    chosen = parser.parse_args()
    if chosen.learn:
        learn(chosen.learn)
        return 0
    costs = json.loads(COSTS.read_text())
    print(f"costs measured on {costs['machine']}; rates on {machine()}\n")
    with (
        tempfile.TemporaryDirectory(prefix="tinsmith-scale-") as cache,
        mock.patch.dict(os.environ, {"TINSMITH_CACHE": cache}),
    ):
        tasks = tasks_of(variations(chosen.manifests), costs)
    per_step = asked(base_plan(), read_step_code(steps_folder()), _sizes(costs))
    stores = store_rates()
    rates = [scheduler_rate(workers, _RATED_PLANS) for workers in chosen.rated]
    print_measured(costs, per_step, rates, stores)
    rank = rank_of(tasks)
    found = {workers: simulate(tasks, Cluster(workers), rank) for workers in WORKERS}
    print_simulated(tasks, found)
    print_bottleneck(tasks, found[WORKERS[-1]], per_step, rates, stores, costs)
    if chosen.picture:
        draw(found, chosen.picture)
    return 0


def _sizes(costs: Costs) -> dict[str, dict[str, int]]:
    return {name: step["files"] for name, step in costs["steps"].items()}


def print_measured(
    costs: Costs, per_step: Mapping[str, Asked], rates: Sequence[SchedulerRate], stores: Sequence[StoreRate]
) -> None:
    rows = [("step", "seconds", "memory", "leaves", "requests to the store", "seconds of them on a folder")]
    for name, step in costs["steps"].items():
        rows.append((
            name, f"{step['seconds']:.1f}", f"{step['memory_mb'] or 0:.0f} MB", f"{_megabytes(step):.2f} MB",
            f"{per_step[name].requests}", f"{per_step[name].seconds:.2f}",
        ))  # fmt: skip
    print(table(rows))
    rows = [("Dask scheduler with", "tasks a second here", "tasks a second of its own processor")]
    rows += [(f"{rate.workers} workers", f"{rate.seen:,.0f}", f"{rate.alone:,.0f}") for rate in rates]
    print(table(rows))
    rows = [("store", "requests a second: to put", "to get", "written", "read")]
    for rate in stores:
        speeds = (f"{rate.written / 1e6:.0f} MB/s", f"{rate.read / 1e6:.0f} MB/s")
        rows.append((rate.name, f"{rate.puts:,.0f}", f"{rate.gets:,.0f}", *speeds))
    print(table(rows))


def _megabytes(step: Costs) -> float:
    return float(sum(step["files"].values())) / 1e6


def print_simulated(tasks: Mapping[Digest, Task], found: Mapping[int, Simulation]) -> None:
    print(f"{len(tasks):,} steps; longest path {hours(next(iter(found.values())).path_seconds)}\n")
    rows = [("workers", "makespan", "busy", "held up by")]
    for workers, item in found.items():
        rows.append((f"{workers:,}", hours(item.makespan), f"{100 * item.busy:.1f} %", item.bound))
    print(table(rows))


def print_bottleneck(
    tasks: Mapping[Digest, Task],
    found: Simulation,
    per_step: Mapping[str, Asked],
    rates: Sequence[SchedulerRate],
    stores: Sequence[StoreRate],
    costs: Costs,
) -> None:
    """Shares of what scheduler and store manage that the largest cluster uses, the first bottleneck first."""
    workers, data = WORKERS[-1], _megabytes(costs["steps"]["ingest"]) * 1e6
    wanted = demand(tasks, found, per_step, workers, data)
    shares = [(wanted["tasks"] / rates[-1].alone, "scheduler", f"{wanted['tasks']:,.0f} tasks/s")] if rates else []
    for store in stores:
        least = min(store.puts, store.gets), min(store.written, store.read)
        shares.append(
            (wanted["requests"] / least[0], f"requests to {store.name}", f"{wanted['requests']:,.0f} a second")
        )
        shares.append((wanted["bytes"] / least[1], f"bytes of {store.name}", f"{wanted['bytes'] / 1e6:,.0f} MB/s"))
    rows = [("on 1,000 workers", "asked", "share of what it manages", "enough for")]
    for share, name, text in sorted(shares, reverse=True):
        rows.append((name, text, f"{100 * share:,.0f} %", f"{workers / share:,.0f} workers"))
    print(table(rows))
    print("Before the first training begins:")
    for store in stores:
        print(
            f"- {store.name}: the client looks {len(tasks):,} steps up in {len(tasks) / store.gets:,.0f} s; the data of "
            f"ingest, {data / 1e6:.1f} MB for each worker, take {workers * data / store.read:,.0f} s to reach all"
        )


def draw(found: Mapping[int, Simulation], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "scale"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5))
    axes.loglog(list(found), [item.makespan / 3600 for item in found.values()], marker="o")
    axes.axhline(next(iter(found.values())).path_seconds / 3600, linestyle="--", color="gray", label="longest path")
    axes.set(xlabel="workers", ylabel="hours")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    raise SystemExit(main())
