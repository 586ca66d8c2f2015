"""Steps that run at once, as plain lines: each says its variant and its worker, and few enough are told to be read."""

from __future__ import annotations

from builder.progress.board import Board
from builder.progress.events import Event
from builder.progress.figures import figures, number
from builder.progress.told import failed_of, news_of, placed
from builder.progress.words import duration, left_of, progress_line, workers_of

_SHORT = 10.0
"""Seconds. Of a step that takes less only its end is told."""
_SECONDS_BETWEEN_PROGRESS = 10.0
"""Times the number of steps at work: between two lines of the same step."""
_SECONDS_BETWEEN_TOTALS = 30.0
_MOST_ENDS = 10
"""Ends of short steps that are told in any ``_SECONDS_BETWEEN_PROGRESS``; the others are only counted."""

Told = list[tuple[str, str]]
"""A step's name, or what stands in its place, and what is told of it."""


class Together:
    """What is told of each event, by a board that has taken it in."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._begun: dict[str, Event] = {}  # steps at work whose start is yet to be told
        self._said: dict[str, float] = {}
        self._ends: list[float] = []
        self._untold = 0
        self._total_at: float | None = None

    def lines(self, event: Event) -> Told:
        step = "build" if event.kind == "workers" else event.step
        described = self._described(event)
        # What a step says comes after its start, also where that is not told otherwise.
        now_told = event.key if described and event.kind not in ("finished", "failed", "lost") else None
        told = [*self._starts(event.time, now_told), (step, described)]
        if event.kind in ("finished", "failed", "lost"):
            self._said.pop(event.key, None)
        return [*told, *self._total(event)]

    def _described(self, event: Event) -> str:
        board, detail = self._board, event.detail
        match event.kind:
            case "workers":
                return _workers(board.workers or 0, board.slots)
            case "started":
                self._begun[event.key] = event
                self._said[event.key] = event.time
                return ""
            case "finished":
                short = self._begun.pop(event.key, None) is not None
                if short and not self._may_tell(event.time):
                    return ""
                ended = board.count("done", "cached")
                seconds = duration(number(detail.get("seconds")) or 0.0)
                return placed(event, board, f"done in {seconds}, {ended} of {len(board.rows)}")
            case "failed":
                self._begun.pop(event.key, None)
                return placed(event, board, failed_of(event, board))
            case "lost":
                self._begun.pop(event.key, None)
                return news_of(event, board)
            case "progress":
                found = figures(detail)
                pause = _SECONDS_BETWEEN_PROGRESS * max(1, len(board.running))
                ends = 0 < found.total <= found.done  # of which more is told in a moment
                if ends or event.time - self._said.setdefault(event.key, event.time) < pause:
                    return ""
                self._said[event.key] = event.time
                return placed(event, board, progress_line(found, event.step))
            case _:
                return news_of(event, board)

    def _starts(self, now: float, key: str | None) -> Told:
        """Of what began a while ago and runs still, and of the step with this key."""
        told = []
        for begun, event in list(self._begun.items()):
            if begun == key or now - event.time >= _SHORT:
                del self._begun[begun]
                row = self._board.row_of(event)
                again = (", going on" if row.training else ", once more") if row is not None and row.lost else ""
                text = f"started ({event.detail.get('engine')}){again}"
                told.append((event.step, placed(event, self._board, text)))
        return told

    def _may_tell(self, now: float) -> bool:
        self._ends = [time for time in self._ends if now - time < _SECONDS_BETWEEN_PROGRESS]
        if len(self._ends) >= _MOST_ENDS:
            self._untold += 1
            return False
        self._ends.append(now)
        return True

    def _total(self, event: Event) -> Told:
        """Now and then how all of it stands, and what was not told."""
        board, now = self._board, event.time
        if self._total_at is None:
            self._total_at = now
        last = self._untold and not board.running and not board.count("waiting")
        if not last and now - self._total_at < (_SECONDS_BETWEEN_PROGRESS if self._untold else _SECONDS_BETWEEN_TOTALS):
            return []
        self._total_at = now
        parts = [f"{board.count('done', 'cached')} of {len(board.rows)} steps"]
        if self._untold:
            parts.append(f"{self._untold} short ones not told above")
        if failed := board.count("failed"):
            parts.append(f"{failed} failed")
        if board.running:
            parts.append(f"{len(board.running)} at work")
        if board.workers is not None and not last:
            parts.append(workers_of(board.workers))
        if (left := board.left(now)) is not None:
            parts.append(left_of(left))
        self._untold = 0
        return [("build", ", ".join(parts))]


def _workers(workers: int, slots: int) -> str:
    if not workers:
        return "waiting for workers"
    return workers_of(workers) + (f", which take {slots} steps at once" if slots != workers else "")
