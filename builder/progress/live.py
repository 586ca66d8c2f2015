"""Events as a live line below the finished steps, for a terminal."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.status import Status
from rich.text import Text

from builder.progress.events import Event
from builder.progress.plain import describe


class Live:
    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._status: Status | None = None

    def show(self, event: Event) -> None:
        text = describe(event)
        if not text:
            return
        if event.kind in ("cached", "finished"):
            self.close()
            style = "dim" if event.kind == "cached" else "green"
            self._console.print(Text.assemble(("✓", style), f" {event.step:8} {text}"))
        elif event.kind == "message":
            self._console.print(f"  {event.step:8} {text}", markup=False)
        else:
            line = Text(f"{event.step:8} {text}")  # a step's own words are never markup
            if self._status is None:
                self._status = self._console.status(line)
                self._status.start()
            self._status.update(line)

    def close(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
