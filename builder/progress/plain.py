"""Events as plain lines, for logs: a line where something starts or ends, and progress now and then."""

from __future__ import annotations

from typing import TextIO

from builder.progress.events import Event
from builder.progress.figures import Figures, figures, number
from builder.progress.words import duration, progress_line

_SECONDS_BETWEEN_PROGRESS = 10.0


class Plain:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last_progress = 0.0
        self._last: object = None
        self._numbers: dict[str, int] = {}

    def show(self, event: Event) -> None:
        if event.kind == "started":
            self._last_progress = 0.0
        text = self._described(event)
        if text:
            step = "plan" if event.kind == "plan" else event.step
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
                return "stopped" if detail["code"] == "interrupted" else f"failed ({detail['code']})"
            case "message":
                return message_of(event)
            case "progress":
                found = figures(detail)
                return progress_line(found, event.step) if self._due(event, found) else ""
            case _:
                return ""

    def _due(self, event: Event, found: Figures) -> bool:
        here = (found.stage, found.done)
        last = found.total > 0 and found.done == found.total and here != self._last
        if not last and event.time - self._last_progress < _SECONDS_BETWEEN_PROGRESS:
            return False
        self._last_progress, self._last = event.time, here
        return True


def message_of(event: Event) -> str:
    return str(event.detail.get("text") or event.detail.get("message") or "")


def indented(text: str) -> str:
    """``text`` with its further lines below its first: none can be taken for the word of another step."""
    return "\n         ".join(text.splitlines())
