"""Events of a build: what happened, to which step, when; and who stamps them. Views (views.py) show them.

docs/progress.md has the kinds and their fields.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from builder.progress.clean import cleaned


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


class Reporter:
    """Stamps what a build emits with time and step, and hands it, cleaned, to the view. A context manager."""

    def __init__(self, view: View, clock: Callable[[], float] = time.time) -> None:
        self._view = view
        self._clock = clock
        self._step = ""

    def __call__(self, kind: str, detail: Mapping[str, Any]) -> None:
        detail = cleaned(detail)
        # In a step's own progress events "step" is a number: the training step.
        step = detail.get("step")
        self._step = step if isinstance(step, str) else self._step
        self._view.show(Event(self._clock(), self._step, cleaned({"kind": kind})["kind"], detail))

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._view.close()
