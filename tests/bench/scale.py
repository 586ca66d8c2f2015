"""``python -m tests.bench.scale``: 10,000 manifests on 1 to 1,000 workers, from measured costs; what gives way first.

The manifests are variations of manifests/shapes.yaml that share its data. Their steps cost what scale_costs.json says,
which ``--learn STORE`` makes anew from a store in which manifests/shapes.yaml was built. In the same run this measures
what a Dask scheduler manages with 10, 100 and more workers, what stores manage, and what a step asks of its store.
Printed are the tables of docs/scale.md, which ``--write`` puts there, with a picture of makespan against workers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from builder.cost.forecast import HANDOUT_SECONDS
from builder.cost.model import CostModel
from builder.cost.simulate import Cluster, Task, rank_of, simulate
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
from tests.bench import scale_tables as tables
from tests.bench.scale_rates import Rates, asked, scheduler_rate, store_rates
from tests.integration.conftest import ROOT

BASE = "shapes"
DOCS = ROOT / "docs"
COSTS = Path(__file__).with_name("scale_costs.json")
WORKERS = (1, 10, 32, 100, 320, 1000)
RATED = (10, 100, 300)
_RATED_PLANS = 200
FACTS = ("seconds", "moving_seconds", "work", "memory_mb")
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
        facts = {name: result.run.get(name) for name in FACTS}
        steps[step.name] = json.dumps({**facts, "files": [item.size for item in result.artifacts]})
    lines = ",\n".join(f"    {json.dumps(name)}: {text}" for name, text in steps.items())
    COSTS.write_text(f'{{\n  "machine": {json.dumps(machine())},\n  "steps": {{\n{lines}\n  }}\n}}\n')


def machine() -> str:
    told = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
    return f"{len(os.sched_getaffinity(0))} processors of {told or os.uname().machine}"


def model_of(costs: Costs) -> CostModel:
    """From one run of each step."""
    return CostModel.learnt(
        StepResult(digest_json(name), name, (), {key: step.get(key) for key in FACTS})
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
    written = {name: float(sum(step["files"])) for name, step in costs["steps"].items()}
    for plan in (plan for item in found for plan in item.plans):
        keys = {step.name: step.key for step in plan.steps}
        for step in plan.steps:
            read = sum(written[need] for need in step.needs if need != "ingest")
            seconds = HANDOUT_SECONDS + model.moving_seconds(step.name) + model.seconds(step.name, step.work)
            needs = tuple(keys[need] for need in step.needs)
            tasks.setdefault(step.key, Task(seconds, needs, moved=written[step.name] + read))
    return tasks


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale")
    parser.add_argument("--manifests", type=int, default=10_000)
    parser.add_argument("--learn", metavar="STORE", help="Write scale_costs.json from this store, and end.")
    parser.add_argument("--rated", type=int, nargs="+", default=RATED, help="Workers that a scheduler is tried with.")
    parser.add_argument("--write", action="store_true", help="Put the figures into docs/scale.md and docs/scale.svg.")
    chosen = parser.parse_args()
    if chosen.learn:
        learn(chosen.learn)
        return 0
    costs = json.loads(COSTS.read_text())
    with (
        tempfile.TemporaryDirectory(prefix="tinsmith-scale-") as cache,
        mock.patch.dict(os.environ, {"TINSMITH_CACHE": cache}),
    ):
        tasks = tasks_of(variations(chosen.manifests), costs)
    per_step = asked(base_plan(), read_step_code(steps_folder()), files_of(costs))
    rates = Rates(per_step, [scheduler_rate(workers, _RATED_PLANS) for workers in chosen.rated], store_rates())
    rank = rank_of(tasks)
    found = {workers: simulate(tasks, Cluster(workers), rank) for workers in WORKERS}
    limited = limits(tasks, rates)
    bound = {workers: simulate(limited, cluster_of(workers, rates), rank) for workers in WORKERS}
    text = "\n".join([
        f"Costs were measured on {costs['machine']}, rates on {machine()}.\n",
        tables.measured(costs, rates),
        tables.simulated(len(tasks), found, bound),
        tables.bottleneck(tasks, found[WORKERS[-1]], rates, costs),
    ])  # fmt: skip
    print(text)
    if chosen.write:
        tables.put(DOCS / "scale.md", text)
        tables.draw(found, bound, DOCS / "scale.svg")
    return 0


def limits(tasks: Mapping[Digest, Task], rates: Rates) -> dict[Digest, Task]:
    """``tasks`` with the folder that was measured: what a task moves is the seconds that its requests and bytes take
    there."""
    folder = rates.stores[0]
    asked_for = statistics.mean(item.requests for item in rates.asked.values()) / min(folder.puts, folder.gets)
    speed = min(folder.read, folder.written)
    return {key: replace(task, moved=task.moved / speed + asked_for) for key, task in tasks.items()}


def cluster_of(workers: int, rates: Rates) -> Cluster:
    """For what ``limits`` gives: one second of the store a second."""
    return Cluster(workers, tasks_a_second=rates.tasks_a_second(workers), bytes_a_second=1.0)


def files_of(costs: Costs) -> dict[str, list[int]]:
    return {name: step["files"] for name, step in costs["steps"].items()}


if __name__ == "__main__":
    raise SystemExit(main())
