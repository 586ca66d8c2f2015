"""The views that ``--progress`` chooses from."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TextIO

from builder.progress.events import Event, View
from builder.progress.plain import Plain

MODES = ("auto", "tty", "plain", "quiet", "json")


class Quiet:
    def show(self, event: Event) -> None:
        pass

    def close(self) -> None:
        pass


class JsonLines:
    """One JSON object a line, for machines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: Event) -> None:
        record = {
            "time": round(event.time, 3),
            "step": event.step,
            "kind": event.kind,
            "detail": dict(event.detail),
        }
        print(json.dumps(record, sort_keys=True), file=self._stream, flush=True)

    def close(self) -> None:
        pass


def view_for(mode: str, stream: TextIO | None = None) -> View:
    """The view for ``--progress MODE``; ``auto`` is ``tty`` on a terminal and ``plain`` elsewhere."""
    stream = stream or sys.stderr

    def live() -> View:
        from builder.progress.live import Live  # rich takes a tenth of a second to import

        return Live(stream)

    if mode == "auto":
        mode = "tty" if stream.isatty() else "plain"
    views: dict[str, Callable[[], View]] = {
        "tty": live,
        "plain": lambda: Plain(stream),
        "quiet": Quiet,
        "json": lambda: JsonLines(stream),
    }
    return views[mode]()
