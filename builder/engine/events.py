"""What a running step says: events on standard output, log lines on either stream, how a failure reads."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from builder.engine.base import Emit
from builder.errors import DatasetError, Interrupted, StepFailed, TinsmithError

RECORD_SEPARATOR = b"\x1e"
TAIL_LINES = 30
STOPPING = "stopping; what is finished is kept"
USAGE_SECONDS = 5.0
"""Between two ``usage`` events: so soon a silent step, too, learns that nobody waits for it any more."""
_LONGEST_LINE = 1 << 20
"""Bytes kept of one line: a step that prints without end costs no more memory than this."""

_OURS = ("plan", "cached", "preparing", "started", "usage", "finished", "failed", "lost", "workers")
"""Kinds of events that only a build itself sends: a step that sends them has printed a line."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Stream = Literal["stdout", "stderr"]


class StepOutput:
    """Takes a step's two byte streams as they come and emits events and log lines.

    An event is a line of standard output that starts with a record separator and holds a JSON object with
    ``event``. Everything else is a log line; the last of them are kept in ``tail``.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._partial: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.error: Mapping[str, Any] | None = None
        self._usage_at = time.monotonic()

    def feed(self, stream: Stream, data: bytes) -> None:
        *lines, rest = (self._partial[stream] + data).split(b"\n")
        self._partial[stream] = rest[:_LONGEST_LINE]
        for line in lines:
            self._line(stream, line)

    def finish(self) -> None:
        """The streams have ended: what was left without a newline is a line too."""
        for stream, rest in self._partial.items():
            if rest:
                self._line(stream, rest)
        self._partial = {"stdout": b"", "stderr": b""}

    def usage(self, memory_mb: float | None) -> None:
        """The step runs, and uses so much memory if that is known. Engines say so whenever they look; most is passed
        over."""
        if time.monotonic() - self._usage_at >= USAGE_SECONDS:
            self._usage_at = time.monotonic()
            self._emit("usage", {} if memory_mb is None else {"memory_mb": round(memory_mb, 1)})

    def stopping(self) -> None:
        """Tells that the step was asked to end, which may take it a while."""
        # What reads our output may be gone, or nobody listen any more: the step is still to end in peace.
        with suppress(OSError, Interrupted):
            self._emit("message", {"text": STOPPING})

    def _line(self, stream: Stream, line: bytes) -> None:
        if stream == "stdout" and line.startswith(RECORD_SEPARATOR):
            event = _event(line)
            if event is not None:
                kind = event.pop("event")
                if kind == "error":
                    self.error = event
                self._emit(kind, event)
                return
        text = _visible(line.decode("utf-8", "replace").rstrip("\r"))
        self.tail.append(text)
        self._emit("log", {"line": text, "stream": stream})


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line[1:], parse_constant=_not_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("event"), str) or value["event"] in _OURS:
        return None
    # Whose events these are is not the step's to say.
    if isinstance(value.get("step"), str):
        del value["step"]
    value.pop("key", None)
    value.pop("worker", None)
    return {key: _visible(item) if isinstance(item, str) else item for key, item in value.items()}


def _visible(text: str) -> str:
    """``text`` without what a terminal would take for a command: the code of a step may come from outside."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _not_finite(name: str) -> float:
    raise ValueError(name)


def failure(step: str, exit_code: int, output: StepOutput) -> TinsmithError:
    """The error that a step with a non-zero ``exit_code`` ends in.

    A step that said why (an ``error`` event) is believed: a code ``dataset-…`` is a DatasetError.
    ``exit_code`` is negative, or 128 and more, for a signal.
    """
    if output.error is not None:
        code = str(output.error.get("code") or StepFailed.code)
        kind = DatasetError if code.startswith("dataset-") else StepFailed
        told = output.error.get("help")
        return kind(str(output.error.get("message", "")), help=str(told) if told else None, code=code)
    return StepFailed(with_tail(f"step {step} {_ending(exit_code)}", output))


def out_of_memory(step: str, memory_mb: int, output: StepOutput) -> StepFailed:
    return StepFailed(
        with_tail(f"step {step} was stopped: it used more than its {memory_mb} MB of memory", output),
        help="a smaller batch size or input shape needs less memory",
        code="out-of-memory",
    )


def with_tail(headline: str, output: StepOutput) -> str:
    """``headline`` and, below it, the last lines that the step printed."""
    lines = [line for line in output.tail if line.strip()]
    if not lines:
        return f"{headline}; it printed nothing"
    return "\n    ".join([f"{headline}; the end of its log:", *lines])


def _ending(exit_code: int) -> str:
    number = -exit_code if exit_code < 0 else exit_code - 128
    if 0 < number <= 64:
        try:
            return f"was killed by {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"failed with exit code {exit_code}"
