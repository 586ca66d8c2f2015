"""Events of a build: what happened, to which step, when. Views turn them into something to look at."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

MODES = ("auto", "tty", "plain", "quiet", "json")


@dataclass(frozen=True)
class Event:
    """``time`` in seconds since the epoch; ``detail`` depends on ``kind``."""

    time: float
    step: str
    kind: str
    detail: Mapping[str, Any]


class View(Protocol):
    def show(self, event: Event) -> None: ...

    def close(self) -> None: ...


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


class Reporter:
    """Stamps what a build emits with time and step, and hands it to the view. A context manager."""

    def __init__(self, view: View, clock: Callable[[], float] = time.time) -> None:
        self._view = view
        self._clock = clock
        self._step = ""

    def __call__(self, kind: str, detail: Mapping[str, Any]) -> None:
        # In a step's own progress events "step" is a number: the training step.
        step = detail.get("step")
        self._step = step if isinstance(step, str) else self._step
        self._view.show(Event(self._clock(), self._step, kind, detail))

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._view.close()


def view_for(mode: str, stream: TextIO | None = None) -> View:
    """The view for ``--progress MODE``; ``auto`` is ``tty`` on a terminal and ``plain`` elsewhere."""
    from builder.progress.live import Live
    from builder.progress.plain import Plain

    stream = stream or sys.stderr
    if mode == "auto":
        mode = "tty" if stream.isatty() else "plain"
    views: dict[str, Callable[[], View]] = {
        "tty": lambda: Live(stream),
        "plain": lambda: Plain(stream),
        "quiet": Quiet,
        "json": lambda: JsonLines(stream),
    }
    return views[mode]()
