"""The tables and the picture of docs/scale.md: for ``tests.bench.scale``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.cost.simulate import Simulation, Task
from builder.digest import Digest
from tests.bench.scale_rates import Rates

_BEGIN, _END = "<!-- figures: python -m tests.bench.scale --write -->", "<!-- end of figures -->"
_MOST_WORKERS = 1000
Costs = Mapping[str, Any]


def measured(costs: Costs, rates: Rates) -> str:
    """Of each step, of the scheduler, of the stores."""
    steps = [("step", "seconds", "memory", "leaves", "requests to the store")]
    for name, step in costs["steps"].items():
        files, size = len(step["files"]), sum(step["files"]) / 1e6
        steps.append((
            name, f"{step['seconds']:.1f}", f"{step['memory_mb']:.0f} MB", f"{files} files, {size:.1f} MB",
            f"{rates.asked[name].requests}",
        ))  # fmt: skip
    schedulers = [("Dask's scheduler with", "tasks a second of its processor", "with workers on the same two")]
    for rate in rates.schedulers:
        schedulers.append((f"{rate.workers} workers", f"{rate.alone:,.0f}", f"{rate.seen:,.0f}"))
    furthest = f"{rates.tasks_a_second(_MOST_WORKERS):,.0f}"
    schedulers.append((f"{_MOST_WORKERS:,} workers, in line with these", furthest, ""))
    stores = [("store, 8 at once", "requests a second: puts", "gets", "written", "read")]
    for store in rates.stores:
        speeds = (f"{store.written / 1e6:.0f} MB/s", f"{store.read / 1e6:.0f} MB/s")
        stores.append((store.name, f"{store.puts:,.0f}", f"{store.gets:,.0f}", *speeds))
    return "\n".join(map(_table, (steps, schedulers, stores)))


def simulated(steps: int, found: Mapping[int, Simulation], bound: Mapping[int, Simulation]) -> str:
    """``bound``: with the scheduler and the store that were measured."""
    path = _time(next(iter(found.values())).path_seconds)
    rows = [("workers", "makespan", "busy", "held up by", "with this scheduler and folder", "held up by")]
    for workers, item in found.items():
        busy, other = f"{100 * item.busy:.0f} %", bound[workers]
        rows.append((f"{workers:,}", _time(item.makespan), busy, item.bound, _time(other.makespan), other.bound))
    return f"{steps:,} steps; the longest path takes {path}.\n\n" + _table(rows)


def bottleneck(tasks: Mapping[Digest, Task], found: Simulation, rates: Rates, costs: Costs) -> str:
    """What the steps ask for in a second while nothing holds them up, beside what was measured; the worst first."""
    workers = round(found.total / found.busy / found.makespan) if found.busy else 1
    data = float(sum(costs["steps"]["ingest"]["files"]))
    requests = len(tasks) * statistics.mean(item.requests for item in rates.asked.values()) / found.makespan
    moved = (sum(task.moved for task in tasks.values()) + workers * data) / found.makespan
    dispatched = len(tasks) / found.makespan
    shares = [(dispatched / rates.tasks_a_second(workers), "scheduler: tasks", f"{dispatched:,.0f}/s")]
    for store in rates.stores:
        shares.append((requests / min(store.puts, store.gets), f"{store.name}: requests", f"{requests:,.0f}/s"))
        shares.append((moved / min(store.written, store.read), f"{store.name}: bytes", f"{moved / 1e6:,.0f} MB/s"))
    rows = [(f"{workers:,} workers ask for", "", "of what was measured", "which is enough for")]
    for share, name, text in sorted(shares, reverse=True):
        rows.append((name, text, f"{100 * share:,.0f} %", f"{workers / share:,.0f} workers"))
    lines = [_table(rows), "Before the first training can begin everywhere:\n"]
    for store in rates.stores:
        lines.append(
            f"- {store.name}: the client looks {len(tasks):,} steps up, {len(tasks) / store.gets:,.0f} s; the data of "
            f"ingest, {data / 1e6:.0f} MB, go to {workers:,} workers, {workers * data / store.read:,.0f} s"
        )
    return "\n".join([*lines, ""])


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rest)) + "\n"


def _time(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def put(path: Path, text: str) -> None:
    """``text`` between the two marks of the document at ``path``."""
    before, begin, rest = path.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert begin and end, f"{path} has no marks"
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def draw(found: Mapping[int, Simulation], bound: Mapping[int, Simulation], path: Path) -> None:
    """Makespan against workers."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "scale", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5))
    for label, items in (("without limit", found), ("with this scheduler and folder", bound)):
        axes.loglog(list(items), [item.makespan / 3600 for item in items.values()], marker="o", label=label)
    path_hours = next(iter(found.values())).path_seconds / 3600
    axes.axhline(path_hours, linestyle="--", color="gray", label="longest path")
    axes.set(xlabel="workers", ylabel="hours")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
