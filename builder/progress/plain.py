"""Events as plain lines, for logs: a line where something starts or ends, and progress now and then."""

from __future__ import annotations

from typing import TextIO

from builder.progress.board import Board
from builder.progress.events import Event
from builder.progress.figures import Figures, figures, number
from builder.progress.together import Together
from builder.progress.told import failed_of, indented, message_of, news_of
from builder.progress.words import duration, progress_line

_SECONDS_BETWEEN_PROGRESS = 10.0


class Plain:
    """Steps that run one after the other are told here, those that run at once in ``together``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._board = Board()
        self._together = Together(self._board)
        self._last_progress = 0.0
        self._last: object = None
        self._numbers: dict[str, int] = {}

    def show(self, event: Event) -> None:
        self._board.add(event)
        if self._board.cluster and event.kind != "plan":
            lines = self._together.lines(event)
        else:
            if event.kind == "started":
                self._last_progress = 0.0
            lines = [("plan" if event.kind == "plan" else event.step, self._described(event))]
        for step, text in lines:
            if text:
                print(f"{step:8} {indented(text)}", file=self._stream, flush=True)

    def close(self) -> None:
        pass

    def _described(self, event: Event) -> str:
        """A line for ``event``, or nothing where it is nothing to show, or nothing that could be."""
        detail = event.detail
        match event.kind:
            case "plan":
                steps = detail["steps"]
                for step in steps:
                    self._numbers.setdefault(step["key"], len(self._numbers) + 1)
                variants = f"{len(detail['variants'])} variants, " if len(detail["variants"]) > 1 else ""
                cached = sum(step["cached"] for step in steps)
                return f"{detail['name']} {detail['version']}: {variants}{len(steps)} steps, {cached} cached"
            case "cached":
                return "cached"
            case "preparing":
                return f"toolchain {detail['toolchain']}"
            case "started":
                place = self._numbers.get(str(detail.get("key")))
                return f"started ({detail['engine']})" + (f", {place} of {len(self._numbers)}" if place else "")
            case "finished":
                return f"done in {duration(number(detail['seconds']) or 0.0)}"
            case "failed":
                return failed_of(event, self._board)
            case "progress":
                found = figures(detail)
                return progress_line(found, event.step) if self._due(event, found) else ""
            case "message":
                return message_of(event)
            case _:
                return news_of(event, self._board)

    def _due(self, event: Event, found: Figures) -> bool:
        here = (found.stage, found.done)
        last = found.total > 0 and found.done == found.total and here != self._last
        if not last and event.time - self._last_progress < _SECONDS_BETWEEN_PROGRESS:
            return False
        self._last_progress, self._last = event.time, here
        return True
