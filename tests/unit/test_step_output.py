"""What a step prints may come from code of outside: it reaches a terminal as text, or not at all."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from builder.engine.events import RECORD_SEPARATOR, STOPPING, StepOutput, failure
from builder.progress.events import Event
from builder.progress.plain import Plain
from tests.fakes import Events


def said(*events: dict[str, Any] | bytes) -> tuple[StepOutput, Events]:
    seen = Events()
    output = StepOutput(seen)
    for event in events:
        line = event if isinstance(event, bytes) else RECORD_SEPARATOR + json.dumps(event).encode()
        output.feed("stdout", line + b"\n")
    return output, seen


def test_nothing_of_it_is_a_command_to_the_terminal() -> None:
    output, seen = said({"event": "message", "text": "\x1b]0;evil\x07 fine\tand\nfine"}, b"\x1b[2Jlog \xc2\x9b0m")
    assert seen.of("message") == [{"text": "�]0;evil� fine\tand\nfine"}]
    assert seen.of("log")[0]["line"] == "�[2Jlog �0m"
    assert "\x1b" not in failure("train", 1, output).message


def test_a_step_cannot_speak_for_the_build() -> None:
    _, seen = said({"event": "finished", "step": "train", "seconds": 1}, RECORD_SEPARATOR + b"[" * 100_000)
    assert [kind for kind, _ in seen] == ["log", "log"]
    _, seen = said({"event": "lost", "key": "k"}, {"event": "workers", "workers": 0})
    assert [kind for kind, _ in seen] == ["log", "log"]
    whose = {"step": "package", "key": "sha256:1", "worker": "rack-1"}
    _, seen = said({"event": "message", **whose, "text": "x"}, {"event": "progress", **whose, "step": 3})
    assert list(seen) == [("message", {"text": "x"}), ("progress", {"step": 3})]


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ({"images_per_second": "fast"}, ""),
        ({"loss": 1, "losses": 2}, "train    loss 1.000\n"),
        ({"loss": [], "step": 1, "steps": 1}, "train    step 1/1\n"),
        ({"loss": 10**400, "steps": True, "eta_seconds": -1}, ""),
        ({"eta_seconds": {}}, ""),
    ],
)
def test_of_progress_only_what_makes_sense_is_shown(detail: dict[str, Any], shown: str) -> None:
    stream = io.StringIO()
    Plain(stream).show(Event(1e9, "train", "progress", detail))
    assert stream.getvalue() == shown


def test_that_a_step_is_being_stopped_is_told_while_anybody_listens() -> None:
    output, seen = said()
    output.stopping()
    assert seen.of("message") == [{"text": STOPPING}]

    def gone(*_: object) -> None:
        raise BrokenPipeError

    StepOutput(gone).stopping()
