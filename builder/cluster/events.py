"""Events of steps, from the worker that runs them to whoever waits for them, over a topic of the scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from builder.digest import Digest
from builder.errors import Interrupted

TOPIC = "tinsmith-steps"
_PROGRESS_SECONDS = 0.5
"""Between two ``progress`` events of a step: all of them pass through the scheduler."""
_LOGS_A_SECOND = 20

Send = Callable[[str, Any], None]


class Sender:
    """An ``Emit`` that sends what a step says to ``send(topic, event)``, thinned out.

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
        self._second, self._logs = 0, 0

    def __call__(self, kind: str, detail: Mapping[str, Any]) -> None:
        if self._unwanted():
            raise Interrupted("nobody waits for this step any more")
        now = self._clock()
        if kind == "progress":
            if now - self._progress < _PROGRESS_SECONDS:
                return
            self._progress = now
        elif kind == "log":
            if int(now) != self._second:
                self._second, self._logs = int(now), 0
            self._logs += 1
            if self._logs > _LOGS_A_SECOND:
                return
        self._send(TOPIC, {"kind": kind, "detail": {"step": self._about["name"], **detail, **self._about}})
