"""The view that draws in place: what is left of it on a terminal, and that nothing slows or breaks it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.progress.live import Live
from tests.terminal import Screen, run_in_terminal
from tests.unit.progress_story import BOTH, Story, in_training, plan

ROOT = Path(__file__).resolve().parents[2]


class Utf8(io.StringIO):
    encoding = "utf-8"


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)


def left_on(stream: io.StringIO) -> Screen:
    screen = Screen(80, 24)
    screen.feed(stream.getvalue().replace("\n", "\r\n"))
    return screen


def test_messages_stand_above_and_what_each_step_came_to_stays() -> None:
    stream = Utf8()
    story = in_training()
    live = Live(stream, forced=True, clock=lambda: story.now)
    for event in story.events:
        live.show(event)
    story._view = live
    story.tell("message", text="rejected [/bold] a.jpg\nand [red]b.jpg")
    story.tell("progress", stage="[/italic]", step=1, steps=2)
    story.ends("train", BOTH[0], seconds=75).runs("export", BOTH[0])
    story.tell("failed", step="export", key=f"export-{BOTH[0]}", code="step-failed").close()
    screen = left_on(stream)
    lines = screen.text.splitlines()
    assert lines[:2] == ["  train    rejected [/bold] a.jpg", "         and [red]b.jpg"]
    assert lines[2].startswith("shapes 1.0.0  2 of 7 steps")
    assert [line.split()[:2] for line in lines[3:5]] == [["✓", "ingest"], ["✓", "train"]]
    assert "done in 1m15s" in lines[4] and "loss" in lines[5] and "✗ export  d100  failed" in lines[6]
    assert len(lines) == 3 + 7 + 1  # nothing of what was drawn before is left
    assert screen.cursor and screen.coloured


def test_without_colours_nothing_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Utf8()
    Story(Live(stream, forced=True)).tell("plan", plan()).runs("train", BOTH[0]).close()
    screen = left_on(stream)
    assert "▸ train" in screen.text and not screen.coloured


def test_a_stream_of_ascii_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    story = Story(Live(stream, forced=True)).tell("plan", plan()).runs("train", BOTH[0]).trains(3)
    story.tell("message", text="größer").close()
    stream.seek(0)
    assert "gr??er" in stream.read()


def test_a_build_with_nothing_to_do_says_so_without_loading_a_library() -> None:
    script = (
        "import sys, io; from builder.progress.live import Live; from tests.unit.progress_story import *\n"
        "steps = plan()\n"
        "for item in steps['steps']: item['cached'] = True\n"
        "Story(Live(sys.stdout)).tell('plan', steps).tell('message', text='hello').close()\n"
        "assert not any(name.split('.')[0] == 'rich' for name in sys.modules), 'rich was loaded'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["hello"] and "7 of 7 steps  7 cached" in lines[1]
    assert len(lines) == 2 + 7


def test_of_a_build_that_ends_before_its_first_step_nothing_is_shown() -> None:
    stream = Utf8()
    Story(Live(stream, forced=True)).tell("plan", plan(cached=True)).close()
    assert stream.getvalue() == ""


def test_a_flood_of_events_is_drawn_at_the_view_s_own_pace() -> None:
    stream = Utf8()
    story = Story(Live(stream, forced=True)).tell("plan", plan()).runs("train", BOTH[0])
    before = threading.active_count()
    for number in range(20_000):
        story.trains(number, total=20_000)
        story.tell("message", text=f"message {number}")
    assert threading.active_count() == before
    story.close()
    screen = left_on(stream)
    assert "messages that came too fast to be shown" in screen.text
    assert "message 19999" in screen.text
    # Drawn for each event it would be some 20 MB.
    assert len(stream.getvalue()) < 2_000_000
    assert threading.active_count() == before - 1


def test_more_steps_than_lines_leave_a_clean_screen() -> None:
    stream = Utf8()
    live = Live(stream, forced=True)
    story = Story(live).tell("plan", plan(variants=20))
    for number in range(10):
        name = f"shapes-d{100 - number:03}"
        story.runs("train", name)
        assert live._drawn is not None
        live._drawn.draw(live._taken())
        story.ends("train", name)
    screen = left_on(stream)
    assert all(len(line) < 80 for line in screen.lines)
    assert "more above" in screen.text and "more below" in screen.text
    assert len(screen.text.splitlines()) <= 23
    story.close()
    assert len(left_on(stream).text.splitlines()) == 1 + len(story.board.rows)


BUILD = """
import sys, time
from builder.progress.views import view_for
from tests.unit.progress_story import *
from builder.progress.events import Reporter
from builder.cli import app
from builder.build import failing
from types import SimpleNamespace

def build():
    with Reporter(view_for("auto")) as emit:
        emit("plan", plan())
        key = "train-" + BOTH[0]
        with failing(SimpleNamespace(name="train", key=key), emit):
            emit("preparing", {"step": "train", "key": key, "toolchain": "tf1.15"})
            emit("started", {"step": "train", "key": key, "engine": "local"})
            for step in range(1, 100000):
                emit("progress", {"stage": "training", "step": step, "steps": 100000, "loss": 10 / step})
                time.sleep(0.01)

app.app.command(name="drawn")(build)
sys.argv = ["tinsmith", "drawn"]
app.main()
"""


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_a_terminal_it_leaves_it_as_it_was(tmp_path: Path, kill: signal.Signals) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    del env["COLUMNS"], env["LINES"]
    status, written = run_in_terminal(
        [sys.executable, "-c", BUILD], width=50, height=8, env=env, cwd=tmp_path, interrupt_at="loss 0.1", kill=kill
    )
    assert status == 130
    screen = Screen(50, 8)
    screen.feed(written)
    lines = [line for line in screen.text.splitlines() if line]
    assert lines[0].startswith("shapes 1.0.0  0 of 7 steps")
    assert "■ train   d100  stopped after" in lines[2] and "loss" in lines[3]
    assert [line.split()[1] for line in lines[4:9]] == ["export", "package", "train", "export", "package"]
    assert lines[9].startswith("interrupted; what was finished is kept")
    assert screen.cursor
