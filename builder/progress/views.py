"""The views that ``--progress`` chooses from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TextIO

from builder.progress.events import Event, View
from builder.progress.live import Live
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
        print(json.dumps(record, sort_keys=True, allow_nan=False), file=self._stream, flush=True)

    def close(self) -> None:
        pass


def view_for(mode: str, stream: TextIO | None = None) -> View:
    """The view for ``--progress MODE``; ``auto`` is ``tty`` on a terminal that can move its cursor, else ``plain``.

    Asked for by name, ``tty`` draws into whatever it is, except on a terminal that cannot.
    """
    stream = stream or sys.stderr
    if mode in ("auto", "tty") and not _can_draw(stream, asked=mode == "tty"):
        mode = "plain"
    views: dict[str, Callable[[], View]] = {
        "auto": lambda: Live(stream),
        "tty": lambda: Live(stream, forced=True),
        "plain": lambda: Plain(stream),
        "quiet": Quiet,
        "json": lambda: JsonLines(stream),
    }
    return views[mode]()


def _can_draw(stream: TextIO, *, asked: bool) -> bool:
    terminal = os.environ.get("TERM", "")
    return (asked or (stream.isatty() and terminal != "")) and terminal not in ("dumb", "unknown")
