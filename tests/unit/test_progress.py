from __future__ import annotations

import io
import json

import pytest

from builder.progress.events import Reporter
from builder.progress.live import Live
from builder.progress.plain import Plain
from builder.progress.words import duration
from builder.progress.views import JsonLines

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


def test_the_live_view_keeps_what_ended_and_survives_markup_in_messages() -> None:
    stream = io.StringIO()
    with Reporter(Live(stream)) as report:
        report("cached", {"step": "ingest", "key": "k"})
        report("message", {"text": "rejected [/bold] a.jpg"})
        report("progress", {"stage": "decoding [/italic]", "step": 1, "steps": 2})
        report("finished", {"step": "train", "key": "k", "seconds": 75})
    text = stream.getvalue()
    assert "ingest" in text and "cached" in text and "1m15s" in text and "[/bold]" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.43, "0.4s"), (12.2, "12s"), (59.7, "1m00s"), (520, "8m40s"), (7500, "2h05m")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
