"""The time of each step of a build. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from builder.report import words
from builder.report.facts import Facts

_ORDER = ("ingest", "train", "qat", "export", "convert", "embed", "infer", "verify", "measure", "package")


@dataclass(frozen=True)
class Duration:
    """``share`` of the longest step, for a bar. ``cached``: it came from the store; None if nobody knows."""

    step: str
    seconds: float
    share: float
    engine: str
    cached: bool | None


def durations(facts: Facts) -> list[Duration]:
    """One row a step, in the order in which they run."""
    if facts.run is None:
        return []
    steps, cached = facts.run.steps, facts.subject.cached
    known = facts.subject.order or _ORDER
    names = [*(name for name in known if name in steps), *(name for name in steps if name not in known)]
    longest = max((steps[name].seconds for name in names), default=0.0)
    return [
        Duration(
            name,
            steps[name].seconds,
            steps[name].seconds / longest if longest else 0.0,
            steps[name].engine or "–",
            name in cached if cached is not None else None,
        )
        for name in names
    ]


def time_told(rows: list[Duration]) -> str:
    """``rows`` in a few words; nothing where nobody knows what was cached."""
    states = {row.cached for row in rows}
    if None in states or not rows:
        return ""
    if states == {True}:
        return "all were cached"
    return f"{words.seconds(ran(rows))} in this build" + ("; the others were cached" if True in states else "")


def ran(rows: list[Duration]) -> float:
    """Seconds of the steps that were not cached."""
    return sum(row.seconds for row in rows if not row.cached)
