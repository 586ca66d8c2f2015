from __future__ import annotations

import io
import json

import pytest

from builder.progress.clean import LONGEST_TEXT
from builder.progress.events import Reporter
from builder.progress.live import Live
from builder.progress.plain import Plain
from builder.progress.views import JsonLines, Quiet, view_for
from builder.progress.words import duration
from builder.words import roughly
from tests.unit.progress_story import BOTH, Story, plan

PROGRESS = {
    "step": 30,
    "steps": 900,
    "images_per_second": 13.04,
    "loss": 3.4567,
    "losses": {"box": 1.0, "class": 2.4567},
    "learning_rate": 0.004,
    "eta_seconds": 1607,
}


def test_plain_lines_show_step_rate_loss_and_eta() -> None:
    stream = io.StringIO()
    report = Reporter(Plain(stream), clock=lambda: 100.0)
    report("started", {"step": "train", "engine": "local"})
    report("progress", PROGRESS)
    started, line = stream.getvalue().splitlines()
    assert started.split() == ["train", "started", "(local)"]
    for part in ("train", "30/900", "13.0 images/s", "3.457", "box 1.000", "26m47s"):
        assert part in line


def test_plain_progress_is_thinned_but_the_last_is_shown() -> None:
    stream = io.StringIO()
    now = [100.0]
    report = Reporter(Plain(stream), clock=lambda: now[0])
    for step in range(1, 101):
        now[0] += 0.5
        report("progress", {"step": step, "steps": 100})
    lines = stream.getvalue().splitlines()
    assert 4 <= len(lines) <= 8
    assert "100/100" in lines[-1]


def test_json_lines_are_one_object_each_with_time_step_and_kind() -> None:
    stream = io.StringIO()
    report = Reporter(JsonLines(stream), clock=lambda: 7.0)
    report("started", {"step": "train", "engine": "local"})
    report("progress", {"loss": 1.0})
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["step"], first["kind"], first["time"]) == ("train", "started", 7.0)
    assert (second["step"], second["detail"]["loss"]) == ("train", 1.0)


def test_plain_lines_say_how_many_steps_there_are_and_which_this_is() -> None:
    stream = io.StringIO()
    story = (
        Story(Plain(stream))
        .tell("plan", plan(cached=True))
        .tell("cached", step="ingest", key="ingest-" + "-".join(BOTH))
    )
    story.runs("train", BOTH[1]).tell("failed", step="train", key=f"train-{BOTH[1]}", code="out-of-memory")
    assert stream.getvalue().splitlines() == [
        "plan     shapes 1.0.0: 2 variants, 7 steps, 1 cached",
        "ingest   cached",
        "train    toolchain tf1.15",
        "train    started (local), 5 of 7",
        "train    failed (out-of-memory)",
    ]


def test_a_message_of_many_lines_cannot_be_taken_for_that_of_another_step() -> None:
    stream = io.StringIO()
    Reporter(Plain(stream))("message", {"step": "train", "text": "one\nverify   done in 1s"})
    assert stream.getvalue() == "train    one\n         verify   done in 1s\n"


def test_whatever_is_said_reaches_every_view_clean() -> None:
    stream = io.StringIO()
    report = Reporter(JsonLines(stream), clock=lambda: 7.0)
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    said = {"text": "\x1b[2J\u202eab\nc\ud800", "a\x9b": float("nan"), "b": [float("inf"), 10**400, 1.5, True],
            "c": deep, "d": "x" * 10_000, "e": {"f": {"g\r": "\t"}}, "h": object()}  # fmt: skip
    report("message", said)
    report("mess\x07age", {})
    first, second = (json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines())
    detail = first["detail"]
    assert detail["text"] == "?[2J?ab\nc?"
    assert detail["a?"] is None and detail["h"] is None
    assert detail["b"] == [None, None, 1.5, True]
    assert len(detail["d"]) == LONGEST_TEXT
    assert detail["e"] == {"f": {"g?": "?"}}
    assert json.dumps(detail["c"]).count("[") < 10
    assert second["kind"] == "mess?age"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("mode", "stream", "term", "view"),
    [
        ("auto", _Terminal(), "xterm", Live),
        ("auto", _Terminal(), "dumb", Plain),
        ("auto", _Terminal(), "", Plain),
        ("auto", io.StringIO(), "xterm", Plain),
        ("tty", io.StringIO(), "xterm", Live),
        ("tty", io.StringIO(), "", Live),
        ("tty", _Terminal(), "dumb", Plain),
        ("plain", _Terminal(), "xterm", Plain),
        ("json", _Terminal(), "xterm", JsonLines),
        ("quiet", _Terminal(), "xterm", Quiet),
    ],
)
def test_the_view_is_the_one_that_the_stream_can_show(
    monkeypatch: pytest.MonkeyPatch, mode: str, stream: io.StringIO, term: str, view: type
) -> None:
    monkeypatch.setenv("TERM", term)
    assert type(view_for(mode, stream)) is view


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.43, "0.4s"), (12.2, "12s"), (59.7, "1m00s"), (520, "8m40s"), (7500, "2h05m")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "under a minute"), (59, "under a minute"), (60, "about 1 min"), (5000, "about 83 min"), (7500, "about 2h05m")],
)
def test_a_predicted_time_in_words(seconds: int, text: str) -> None:
    assert roughly(seconds) == text
