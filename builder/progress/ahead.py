"""What is ahead of a build: which steps come next, and how long all of them take. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.progress.row import Row


@dataclass(frozen=True)
class Left:
    """``seconds`` to the end of the build, or where ``training_only`` to the end of its trainings."""

    seconds: float
    training_only: bool


def seconds_left(rows: Mapping[str, Row], now: float, places: int) -> Left | None:
    """About how long the steps of ``rows`` that are ahead take with ``places`` for steps at once.

    None where not even the trainings among them can all be said, or nothing is ahead.
    """
    ahead = _ahead(rows, now)
    if not ahead or places < 1:
        return None
    known = {key: seconds for key, seconds in ahead.items() if seconds is not None}
    if len(known) == len(ahead) and any(rows[key].cost is not None for key in ahead):
        return Left(makespan(rows, known, places), training_only=False)
    training = training_left(rows, now, places)
    return None if training is None else Left(training, training_only=True)


def training_left(rows: Mapping[str, Row], now: float, places: int) -> float | None:
    """The same of trainings alone, as if all else took no time."""
    ahead = {key: seconds if rows[key].training else 0.0 for key, seconds in _ahead(rows, now).items()}
    known = {key: seconds for key, seconds in ahead.items() if seconds is not None}
    if len(known) < len(ahead) or places < 1 or not any(rows[key].training for key in ahead):
        return None
    return makespan(rows, known, places)


def makespan(rows: Mapping[str, Row], seconds: Mapping[str, float], places: int) -> float:
    """The larger of the longest path through the steps of ``seconds`` and their work shared evenly among ``places``.

    No order of them takes less. Each comes after those that it needs.
    """
    ends: dict[str, float] = {}
    for key, own in seconds.items():
        begin = 0.0
        for need in rows[key].needs:
            begin = max(begin, ends.get(need, 0.0))
        ends[key] = begin + own
    return max(max(ends.values(), default=0.0), sum(seconds.values()) / places)


def weigh(rows: Mapping[str, Row]) -> None:
    """Sets ``behind`` of each of ``rows``, each of which comes after those that it needs."""
    for row in rows.values():
        row.behind = 0.0
    for row in reversed(list(rows.values())):
        row.behind += row.expected or 0.0
        for need in row.needs:
            if need in rows:
                rows[need].behind = max(rows[need].behind, row.behind)


def coming(rows: Mapping[str, Row]) -> list[Row]:
    """Those that wait: first what lacks nothing, of it first what most is behind; else as in the plan."""
    ended = {key for key, row in rows.items() if row.status in ("done", "cached")}
    ready: list[Row] = []
    later: list[Row] = []
    for row in rows.values():
        if row.status == "waiting":
            (ready if ended.issuperset(row.needs) else later).append(row)
    ready.sort(key=lambda row: (-row.lost, -row.behind))
    return ready + later


def blocked(rows: Mapping[str, Row]) -> set[str]:
    """Keys of what needs, also by way of others, a step that failed."""
    failed = {key for key, row in rows.items() if row.status == "failed"}
    found: set[str] = set()
    for key, row in rows.items():
        if any(need in failed or need in found for need in row.needs):
            found.add(key)
    return found


def _ahead(rows: Mapping[str, Row], now: float) -> dict[str, float | None]:
    """Seconds that are left of each step that waits or is at work.

    What is expected is corrected by how the steps of that kind went in this build; all trainings are of one kind.
    """
    kinds: dict[str, list[Row]] = {}
    for row in rows.values():
        kinds.setdefault(_kind(row), []).append(row)
    paces = {kind: _pace(members, now) for kind, members in kinds.items()}
    return {
        key: _left_of(row, paces[_kind(row)], now)
        for key, row in rows.items()
        if row.status == "waiting" or row.at_work
    }


def _kind(row: Row) -> str:
    return "" if row.training else row.name


def _left_of(row: Row, pace: float, now: float) -> float | None:
    if row.status == "waiting":
        return None if (expected := row.expected) is None else expected * pace * row.share
    # What a training says is of all of it, what another step says of its stage at hand.
    seconds = row.eta(now) if row.training and row.status == "running" else None
    if seconds is None and row.expected is not None:
        done = row.elapsed(now) if row.status == "running" else 0.0
        seconds = max(0.0, row.expected * pace * row.share - done)
    return seconds


def _pace(rows: Sequence[Row], now: float) -> float:
    """Seconds that these steps take in this build for each expected one; 1 while none has told."""
    taken = expected = 0.0
    for row in rows:
        whole = None if row.expected is None else row.whole(now)
        if whole is not None:
            taken += whole
            expected += row.expected or 0.0
    return taken / expected if taken and expected else 1.0
