"""``plan --simulate``: a cluster as words on the command line, a forecast as text and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builder.cost.forecast import Forecast, Leg
from builder.cost.simulate import Bound, Cluster
from builder.errors import UsageError
from builder.manifest.diagnose import nearest
from builder.words import roughly

_MOST = {"workers": 1_000_000, "slots": 64, "memory": 100_000_000}
_DIGITS = 12
_HELP = "such as 'workers=32' or 'workers=8,slots=2,memory=16000': memory of a worker in MB, slots steps at once"

_REASONS: dict[Bound, str] = {
    "workers": "the number of workers",
    "path": "the longest path",
    "scheduler": "the scheduler",
    "store": "the store",
}


def cluster_of(text: str) -> Cluster:
    """The cluster that ``--simulate`` names. UsageError for anything else."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in _MOST:
            near = nearest(name, list(_MOST))
            raise UsageError(f"--simulate knows no '{name}'", help=f"did you mean '{near}'?" if near else _HELP)
        if name in found:
            raise UsageError(f"--simulate has {name} twice", help=_HELP)
        number = int(value) if value.isascii() and value.isdecimal() and len(value) <= _DIGITS else 0
        if not 1 <= number <= _MOST[name]:
            said = f"'{value[:_DIGITS]}'"
            raise UsageError(f"--simulate: {name} takes a number from 1 to {_MOST[name]:,}, not {said}", help=_HELP)
        found[name] = number
    if "workers" not in found:
        raise UsageError("--simulate needs the number of workers", help=_HELP)
    memory = float(found["memory"]) if "memory" in found else None
    return Cluster(found["workers"], found.get("slots", 1), memory)


def told(found: Forecast) -> str:
    """A few lines."""
    simulation, workers = found.simulation, found.cluster.workers
    if not found.steps:
        return f"nothing to run: all {found.cached:,} steps have results"
    rows = [
        ("steps to run", f"{found.steps:,}" + (f", and {found.cached:,} cached" if found.cached else "")),
        ("makespan", f"{roughly(simulation.makespan)} on {_counted(workers, 'worker')}"),
        ("one after another", roughly(simulation.total)),
        ("workers busy", f"{100 * simulation.busy:.0f} % of the time"),
        ("longest path", f"{roughly(simulation.path_seconds)}: {_path(found.path)}"),
        ("held up by", _REASONS[simulation.bound]),
        ("enough", f"{_counted(found.enough, 'worker')}; more would not help"),
        ("costs", _costs(found)),
    ]
    return "\n".join(f"{name:18} {text}" for name, text in rows)


def _costs(found: Forecast) -> str:
    if not found.runs:
        return "of no past run: trainings are predicted, the other steps cost what is usual"
    measured = f"measured in {_counted(found.runs, 'past run')}"
    return f"{measured}; predicted for {', '.join(found.predicted)}" if found.predicted else measured


def _path(legs: Sequence[Leg]) -> str:
    """``ingest, train (about 12 min), export of shapes``: long ones with their time."""
    total = sum(leg.seconds for leg in legs)
    steps = [f"{leg.name} ({roughly(leg.seconds)})" if leg.seconds >= total / 3 else leg.name for leg in legs]
    return f"{', '.join(steps)} of {legs[-1].plan}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def document(found: Forecast) -> dict[str, Any]:
    """All of it; seconds and MB."""
    simulation, cluster = found.simulation, found.cluster
    return {
        "format": 1,
        "cluster": {"workers": cluster.workers, "slots": cluster.slots, "memory_mb": cluster.memory_mb},
        "steps": found.steps,
        "cached": found.cached,
        "makespan_seconds": round(simulation.makespan, 1),
        "total_seconds": round(simulation.total, 1),
        "busy": round(simulation.busy, 4),
        "most_at_once": simulation.most,
        "longest_path": {
            "seconds": round(simulation.path_seconds, 1),
            "steps": [
                {"plan": leg.plan, "name": leg.name, "key": leg.key, "seconds": round(leg.seconds, 1)}
                for leg in found.path
            ],
        },
        "bounds_seconds": {name: round(seconds, 1) for name, seconds in simulation.bounds.items()},
        "bound": simulation.bound,
        "enough_workers": found.enough,
        "costs": {"runs": found.runs, "predicted": list(found.predicted)},
    }
