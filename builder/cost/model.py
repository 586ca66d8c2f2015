"""What steps cost, learnt from the runs that a store remembers: seconds and memory, by step name and size of the work.

Of each name the seconds are a line, ``a + b * work``, laid by medians (Theil and Sen): a few runs that were disturbed,
or made on another machine, do not move it. What was never seen costs what is usual for it; of that the trainings are
predicted from their parameters.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

from builder.cost.work import UNKNOWN
from builder.store.base import StepResult

Source = Literal["measured", "predicted"]

RECENT = 2000
"""Results that are worth reading: the newest."""

_ENOUGH = 3
"""Runs from which on a line of their own is laid through them."""
_APART = 1.2
"""Works nearer to each other than by this factor say nothing about a slope."""
_MOST_RUNS = 150
"""Of a name: pairs grow with the square."""
MARGIN = 1.3
"""Memory on top of the most that was seen."""
_FURTHER = 1.5
"""Times the largest work seen: of larger ones nobody knows the memory."""
_LEAST_SECONDS = 0.05
_LARGEST = 1e12
"""Nothing takes so long, or so much: a result may be written by anybody."""


@dataclass(frozen=True)
class Line:
    """Seconds over work."""

    fixed: float
    slope: float

    def at(self, work: float) -> float:
        return max(_LEAST_SECONDS, self.fixed + self.slope * work)

    def times(self, factor: float) -> Line:
        return Line(self.fixed * factor, self.slope * factor)


USUAL: Mapping[str, Line] = {
    "ingest": Line(4.0, 2.0),
    "train": Line(15.0, 1.0),
    "qat": Line(20.0, 1.0),
    "float-export": Line(15.0, 0.0),
    "export": Line(15.0, 0.0),
    "convert": Line(10.0, 0.0),
    "embed": Line(1.5, 0.0),
    "infer": Line(15.0, 0.0),
    "verify": Line(8.0, 0.0),
    "measure": Line(4.0, 0.0),
    "package": Line(1.5, 0.0),
}
"""On two cores, for a few hundred pictures."""
_OTHER = Line(10.0, 0.0)
_USUAL_MOVING = 0.3


class _Run(NamedTuple):
    """``used``: seconds, or MB."""

    work: float
    used: float


class CostModel:
    """Made by ``learnt``. ``runs``: how many past runs its seconds come from."""

    def __init__(
        self, runs: Mapping[str, list[_Run]], memory: Mapping[str, list[_Run]], moving: Mapping[str, list[float]]
    ) -> None:
        self.runs = sum(map(len, runs.values()))
        self._lines: dict[str, Line] = {}
        self._unsized: dict[str, float] = {}
        for name, found in runs.items():
            sized = [run for run in found if run.work != UNKNOWN]
            if sized:
                self._lines[name] = _line(name, sized[:_MOST_RUNS])
            alike = [run for run in found if run.work == UNKNOWN] or sized
            self._unsized[name] = statistics.median(run.used for run in alike)
        self._memory = memory
        self._moving = {name: statistics.median(found) for name, found in moving.items()}

    @classmethod
    def learnt(cls, results: Iterable[StepResult]) -> CostModel:
        """From the results of a store, ``store.recent(RECENT)``.

        Left out are runs that went on from a checkpoint, whose seconds are those of the rest alone, and results of a
        tinsmith that did not note the size of the work. Their memory counts where it is known.
        """
        runs: dict[str, list[_Run]] = {}
        memory: dict[str, list[_Run]] = {}
        moving: dict[str, list[float]] = {}
        for result in results:
            work = _number(result.run, "work")
            if work is None:
                continue
            if (most := _number(result.run, "memory_mb")) is not None:
                memory.setdefault(result.step, []).append(_Run(work, most))
            if (around := _number(result.run, "moving_seconds")) is not None:
                moving.setdefault(result.step, []).append(around)
            seconds = _number(result.run, "seconds")
            if seconds is not None and not result.run.get("resumed"):
                runs.setdefault(result.step, []).append(_Run(work, seconds))
        return cls(runs, memory, moving)

    def seconds(self, name: str, work: float) -> float:
        """How long the step ``name`` takes, from its start to its end in an engine."""
        line = self._lines.get(name)
        if name in self._unsized and (line is None or work == UNKNOWN):
            return max(_LEAST_SECONDS, self._unsized[name])
        return (line or USUAL.get(name, _OTHER)).at(work)

    def moving_seconds(self, name: str) -> float:
        """How long its inputs take out of the store and its outputs into it; it grows with their number and bytes."""
        return self._moving.get(name, _USUAL_MOVING)

    def memory_mb(self, name: str, work: float) -> float | None:
        """What it is safe to reserve for it; None if no run of the step, or none of nearly this size, was seen."""
        seen = self._memory.get(name)
        if not seen or work > _FURTHER * max(run.work for run in seen):
            return None
        return MARGIN * max(run.used for run in seen)

    def source(self, name: str) -> Source:
        """Where the seconds of the step ``name`` come from."""
        return "measured" if name in self._unsized else "predicted"


def _number(run: Mapping[str, Any], name: str) -> float | None:
    value = run.get(name)
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST
    return float(value) if sound else None  # type: ignore[arg-type]


def _line(name: str, runs: list[_Run]) -> Line:
    """Through ``runs``, each of known work, of which there is at least one."""
    slopes = [
        (one.used - other.used) / (one.work - other.work)
        for one, other in combinations(runs, 2)
        if max(one.work, other.work) >= _APART * min(one.work, other.work)
    ]
    if len(runs) < _ENOUGH or not slopes:
        # Too few to tell what is fixed from what grows: as usual, but by so much faster or slower.
        usual = USUAL.get(name, _OTHER)
        return usual.times(statistics.median(run.used / usual.at(run.work) for run in runs))
    slope = max(0.0, statistics.median(slopes))
    fixed = statistics.median(run.used - slope * run.work for run in runs)
    if fixed >= 0:
        return Line(fixed, slope)
    return Line(0.0, statistics.median(run.used / run.work for run in runs))
