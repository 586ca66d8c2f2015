"""Which steps of a board a screen of some height shows, and which it counts. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from builder.progress.ahead import coming
from builder.progress.board import Board
from builder.progress.row import Row

_FEWEST_COMING = 3
"""Steps that wait are shown before curves are, up to so many."""


@dataclass(frozen=True)
class Chosen:
    """``rows`` are shown in this order, each with its curve or without; the others are counted above and below."""

    rows: Sequence[tuple[Row, bool]]
    above: Sequence[Row] = ()
    below: Sequence[Row] = ()


def chosen(board: Board, height: int) -> Chosen:
    """At most ``height`` lines of the steps of ``board``, counts included.

    All of them where they fit. Else, where one runs at a time, those around it; of several at once, wherever in the
    plan they are, those at work, then those that failed, then what comes next.
    """
    rows = [*(row for key, row in board.running.items() if key not in board.rows), *board.rows.values()]
    if sum(1 + has_curve(row) for row in rows) <= height:
        return Chosen([(row, has_curve(row)) for row in rows])
    if board.cluster:
        return _scattered(board, rows, height)
    at = board.current or _of_interest(rows)
    here = next((index for index, row in enumerate(rows) if row is at), 0)
    first, end = _window([1 + has_curve(row) for row in rows], here, height)
    return Chosen([(row, has_curve(row)) for row in rows[first:end]], rows[:first], rows[end:])


def has_curve(row: Row) -> bool:
    return row.status not in ("waiting", "cached", "blocked") and row.figures.loss is not None


def _scattered(board: Board, rows: Sequence[Row], height: int) -> Chosen:
    room = max(1, height - 1)  # the last line counts the rest
    # By worker: each keeps its place, and the step that follows takes that of the one before.
    working = sorted(board.running.values(), key=lambda row: (_natural(row.worker), row.since))[:room]
    failed = [row for row in rows if row.status in ("failed", "stopped")]
    following = coming(board.rows)
    ended = sorted((row for row in rows if row.status == "done"), key=lambda row: -row.ended)
    others = [row for row in rows if row.status in ("blocked", "cached")]
    free = room - len(working) - len(failed[: room - len(working)])
    curves: set[int] = set()
    for row in working:
        if has_curve(row) and free - len(curves) > min(_FEWEST_COMING, len(following)):
            curves.add(id(row))
    shown = [*working, *failed, *following, *ended, *others][: room - len(curves)]
    seen = {id(row) for row in shown}
    return Chosen([(row, id(row) in curves) for row in shown], below=[row for row in rows if id(row) not in seen])


def _natural(name: str) -> list[tuple[int, str]]:
    """So that ``rack-2`` comes before ``rack-10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _of_interest(rows: Sequence[Row]) -> Row | None:
    """Where no step is at work: the one that failed, else the first that waits, else the last."""
    failed = (row for row in rows if row.status in ("failed", "stopped"))
    waiting = (row for row in rows if row.status == "waiting")
    return next(failed, None) or next(waiting, None) or (rows[-1] if rows else None)


def _window(heights: Sequence[int], here: int, height: int) -> tuple[int, int]:
    """The first of the rows that fit, ``here`` among them, and the end; a line each for what is above and below."""

    def fits(first: int, end: int) -> bool:
        counts = (first > 0) + (end < len(heights))
        return first >= 0 and end <= len(heights) and sum(heights[first:end]) + counts <= height

    if fits(0, len(heights)):
        return 0, len(heights)
    first, end = here, here + 1
    while (below := fits(first, end + 1)) or fits(first - 1, end):
        # What comes next interests more than what has been: two of three lines.
        if below and (end - here < 2 * (here - first + 1) or not fits(first - 1, end)):
            end += 1
        else:
            first -= 1
    return first, end
