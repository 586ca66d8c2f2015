"""Events of a build: what happened, to which step, when; and who stamps them. Views (views.py) show them.

docs/progress.md has the kinds and their fields.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from builder.progress.clean import cleaned


@dataclass(frozen=True)
class Event:
    """``time`` in seconds since the epoch; ``detail`` depends on ``kind``.

    ``key`` is that of the step, where one is at work; ``worker`` the one that said it, empty on one machine.
    """

    time: float
    step: str
    kind: str
    detail: Mapping[str, Any]
    key: str = ""
    worker: str = ""


class View(Protocol):
    def show(self, event: Event) -> None: ...

    def close(self) -> None: ...


class Reporter:
    """Stamps what a build emits with time and step, and hands it, cleaned, to the view. A context manager.

    On one machine steps run one after the other, and what comes without a key is of the step at work. What comes with
    a key is of that step, whatever else runs. May be called from several threads.
    """

    def __init__(self, view: View, clock: Callable[[], float] = time.time) -> None:
        self._view = view
        self._clock = clock
        self._step = self._key = ""
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, kind: str, detail: Mapping[str, Any]) -> None:
        detail = cleaned(detail)
        kind = cleaned({"kind": kind})["kind"]
        with self._lock:
            step, key = self._whose(kind, detail)
            self._view.show(Event(self._clock(), step, kind, detail, key, _text(detail, "worker")))

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._view.close()

    def _whose(self, kind: str, detail: Mapping[str, Any]) -> tuple[str, str]:
        """Name and key of the step that an event is of."""
        # In a step's own progress events "step" is a number: the training step. Their name is in "name".
        step, key = detail.get("step"), _text(detail, "key")
        name = step if isinstance(step, str) else (_text(detail, "name") or self._names.get(key, "")) if key else None
        if key and name:
            self._names[key] = name
        if _text(detail, "worker"):  # one of many: which step this machine is at is another matter
            return name or "", key
        if name is not None:
            self._step = name
        if kind in ("preparing", "started"):
            self._key = key
        elif kind in ("finished", "failed"):
            ended, self._key = key or self._key, ""
            return self._step, ended
        return self._step, key or (self._key if name is None else "")


def _text(detail: Mapping[str, Any], field: str) -> str:
    value = detail.get(field)
    return value if isinstance(value, str) else ""
