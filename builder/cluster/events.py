"""Events of steps, from the worker that runs them to whoever waits for them, over a topic of the scheduler."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from builder.digest import Digest
from builder.errors import Interrupted
from builder.progress.clean import cleaned

TOPIC = "tinsmith-steps"
BUILDS_OWN = ("plan", "workers", "cached", "finished", "failed", "lost")
"""Kinds that no worker sends: the build says so itself, once it has seen it."""
_PROGRESS_SECONDS = 0.5
"""Between two ``progress`` events of a step: all of them pass through the scheduler."""
_OTHERS_A_SECOND = 20
_ALWAYS = ("preparing", "started")
_LARGEST = 1 << 16
"""Characters of an event as JSON: the scheduler keeps some of them."""

Send = Callable[[str, Any], None]


class Sender:
    """An ``Emit`` that sends what a step says to ``send(topic, events)``, thinned out.

    Interrupted, from any call, once ``unwanted`` says that nobody waits for the step any more: engines then end it.
    """

    def __init__(
        self,
        key: Digest,
        name: str,
        worker: str,
        send: Send,
        unwanted: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._about = {"key": key, "name": name, "worker": worker}
        self._send, self._unwanted, self._clock = send, unwanted, clock
        self._progress = float("-inf")
        self._second, self._others = 0, 0
        self._held: list[dict[str, Any]] = []

    def __call__(self, kind: str, detail: Mapping[str, Any]) -> None:
        if self._unwanted():
            raise Interrupted("nobody waits for this step any more")
        if kind == "usage":  # here only to have been asked: nobody shows it, and it comes of every worker
            return
        now = self._clock()
        if kind == "progress":
            if now - self._progress < _PROGRESS_SECONDS:
                return
            self._progress = now
        elif kind not in _ALWAYS:
            if int(now) != self._second:
                self._second, self._others = int(now), 0
            self._others += 1
            if self._others > _OTHERS_A_SECOND:
                return
        # A step may be code from outside: what it says must not be too large, or of a kind that Dask cannot send.
        said = cleaned({"kind": kind, "detail": {"step": self._about["name"], **detail}})
        if len(json.dumps(said)) > _LARGEST:
            return
        self._held.append({"kind": said["kind"], "detail": {**said["detail"], **self._about}})
        # Most toolchains are ready: that one is being prepared goes with what comes next.
        if kind != "preparing":
            self._send(TOPIC, self._held)
            self._held = []
