"""Steps that run at once on named workers: what screens of several sizes, lines and the time that is left say."""

from __future__ import annotations

import io
import json
import re
import threading
import time

import pytest

from builder.progress.ahead import Left, makespan
from builder.progress.events import Event, Reporter
from builder.progress.glyphs import ASCII, UNICODE, Glyphs
from builder.progress.live import Live
from builder.progress.plain import Plain
from builder.progress.row import Row
from builder.progress.screen import screen, text_of
from builder.progress.views import JsonLines
from tests.unit.progress_cluster import BACK_AT, FAILS, LOST_AT, VARIANTS, WORKERS, Cluster, matrix
from tests.unit.progress_story import Story, plan

SIZES = ((120, 40), (80, 24), (60, 12), (40, 10))


def shown(story: Story, width: int = 120, height: int = 40, glyphs: Glyphs = UNICODE) -> list[str]:
    return text_of(screen(story.board, width, height, story.now, glyphs)).splitlines()


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return Cluster().run().events


def told(events: list[Event], until: float = float("inf")) -> Story:
    """A story with those of ``events`` that come before a second of the build."""
    story = Story()
    for event in events:
        if event.time - events[0].time < until:
            story.now = event.time
            story.show(event)
    return story


class TestScreen:
    def test_those_at_work_come_first_each_with_its_worker_its_bar_and_its_curve(self, events: list[Event]) -> None:
        heading, *lines = shown(told(events, 61))
        assert heading == "shapes 1.0.0  1 of 57 steps  1m00s  on 4 workers  about 4 min left"
        working, curves = lines[0:8:2], lines[1:8:2]
        assert [line.split()[:4] for line in working] == [
            ["▸", "train", variant.removeprefix("shapes-"), worker]
            for variant, worker in zip(VARIANTS, WORKERS, strict=False)
        ]
        assert {line.index("━") for line in working} == {line.index("loss") for line in curves}
        assert all(re.search(r"loss \d\.\d{3} █▇*", line) for line in curves)
        assert [line.split()[1] for line in lines[8:12]] == ["train"] * 4  # before exports, which cannot begin yet
        assert lines[-1] == "… 23 more: 1 done, 22 waiting"

    def test_figures_of_different_kinds_stand_below_each_other(self) -> None:
        story = Story().tell("plan", matrix()).tell("workers", workers=2)
        story.tell("started", key="ingest-shapes", step="ingest", worker="a", engine="docker")
        story.tell("started", key=f"train-{VARIANTS[0]}", step="train", worker="b", engine="docker")
        story.tell("progress", key="ingest-shapes", name="ingest", worker="a", stage="decoding", step=3, steps=9)
        story.tell("progress", key=f"train-{VARIANTS[0]}", name="train", worker="b", step=120, steps=800)
        one, other = (line for line in shown(story) if "▸" in line)
        assert "decoding  ━" in one and "decoding" not in other
        assert one.index("━") == other.index("━")
        assert one.index("3/9") == other.index("120/800")

    def test_a_worker_keeps_its_place(self, events: list[Event]) -> None:
        for second in range(20, 300, 10):
            workers = [line.split()[3] for line in shown(told(events, second)) if line.startswith("▸")]
            assert workers == sorted(workers, key=WORKERS.index)

    def test_what_is_lost_waits_again_first_of_all_and_then_goes_on(self, events: list[Event]) -> None:
        story = told(events, LOST_AT + 1)
        assert "on 3 workers" in shown(story)[0]
        key = f"train-{VARIANTS[2]}"
        row = story.board.rows[key]
        assert (row.status, row.worker, row.lost, row.lost_with) == ("waiting", "", 1, "rack-3")
        first = next(line for line in shown(story) if line.startswith("·"))
        assert re.fullmatch(r"· train +d0.5-96x96 +waiting  lost with rack-3  at 680/800  under a minute", first)
        before = len(row.loss.values)
        going = shown(told(events, BACK_AT - 10))
        assert any(re.match(r"▸ train +d0.5-96x96 +rack-10 +going on  ━", line) for line in going)
        assert len(told(events, BACK_AT - 10).board.rows[key].loss.values) > before  # the curve goes on too
        assert told(events).board.rows[key].status == "done"

    def test_a_failure_is_seen_and_what_needs_it_is_not_waited_for(self, events: list[Event]) -> None:
        story = told(events, 180)
        lines = shown(story, 80, 24)
        assert "1 failed" in lines[0]
        steps = [line for line in lines[1:] if line[0] != " "]
        assert steps[len(story.board.running)].split()[:4] == ["✗", "convert", "d0.5-96x96", "rack-10"]
        assert story.board.count("blocked") == 4
        assert story.board.left(story.now) is not None
        story = told(events)
        assert story.board.left(story.now) is None and story.board.count("waiting") == 0
        whole = shown(story, height=100)
        assert sum("will not run  needs what failed" in line for line in whole) == 4
        # Another try: what was given up waits again.
        story.tell("started", key=FAILS, step="convert", worker="rack-1", engine="docker")
        assert (story.board.count("blocked"), story.board.count("waiting")) == (0, 4)

    @pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
    def test_at_every_size_and_time_lines_fit_and_none_at_work_is_missing(
        self, events: list[Event], glyphs: Glyphs
    ) -> None:
        for second in (0.5, 1.5, 16, 61, 105, 135, 180, 250, 1000):
            story = told(events, second)
            for width, height in SIZES:
                lines = shown(story, width, height, glyphs)
                assert len(lines) <= height and all(len(line) <= width for line in lines)
                assert not glyphs.ascii or all(line.isascii() for line in lines)
                assert sum(line[0] == glyphs.marks["running"] for line in lines) == len(story.board.running)
                steps = [line for line in lines[1:] if line[1] == " " and not line.startswith((glyphs.more, " "))]
                rest = re.match(r". (\d+) more: ", lines[-1])
                assert len(steps) + (int(rest[1]) if rest else 0) == 57

    def test_more_at_work_than_lines_are_counted(self) -> None:
        story = Story().tell("plan", matrix()).tell("workers", workers=8)
        for number, variant in enumerate(VARIANTS):
            story.tell("started", key=f"train-{variant}", step="train", worker=f"w-{number}", engine="docker")
        lines = shown(story, 40, 5)
        assert len(lines) == 5 and sum("▸" in line for line in lines) == 3
        assert lines[-1] == "… 54 more: 49 waiting, 5 running"

    def test_forty_columns_keep_variant_worker_and_how_far_it_is(self, events: list[Event]) -> None:
        lines = shown(told(events, 61), 40, 10)
        assert next(line for line in lines if "rack-2" in line) == "▸ train   d0.25…x160 rack-2  359/800"

    def test_without_workers_it_says_what_it_waits_for(self, events: list[Event]) -> None:
        assert shown(told(events, 0.5), 60, 5)[0] == "shapes 1.0.0  0 of 57 steps  0.0s  waiting for workers"

    def test_a_thousand_steps_are_drawn_in_an_instant(self) -> None:
        cluster = Cluster(plan=matrix([f"shapes-d{number:03}" for number in range(145)]))
        story = cluster.run(90)
        assert len(story.board.rows) > 1000 and len(story.board.running) == 4
        best = 1.0
        for _ in range(10):
            begun = time.perf_counter()
            lines = screen(story.board, 120, 40, story.now, UNICODE)
            best = min(best, time.perf_counter() - begun)
        assert len(lines) == 40
        assert best < 0.02

    def test_steps_of_twenty_manifests_say_of_which(self) -> None:
        story = Story()
        for number in range(20):
            story.tell("plan", matrix([f"m{number}-a", f"m{number}-b"], name=f"m{number}"))
        story.tell("workers", workers=1)
        story.tell("started", key="ingest-m7", step="ingest", worker="w", engine="docker")
        story.tell("started", key="train-m7-b", step="train", worker="w", engine="docker")
        heading, one, other, *_ = shown(story)
        assert heading.startswith("m0 1.0.0 and 19 more  0 of 300 steps")
        assert one.split()[1:3] == ["ingest", "m7"] and other.split()[1:3] == ["train", "m7-b"]


class TestTimeLeft:
    def test_it_is_the_longest_path_or_the_work_shared_among_workers(self) -> None:
        rows = {"a": Row("a"), "b": Row("b", needs=("a",)), "c": Row("c", needs=("a",)), "d": Row("d")}
        seconds = {"a": 10.0, "b": 50.0, "c": 20.0, "d": 10.0}
        assert makespan(rows, seconds, 1) == 90
        assert makespan(rows, seconds, 2) == 60
        assert makespan(rows, seconds, 100) == 60
        assert makespan(rows, {"b": 5.0, "c": 20.0, "d": 35.0}, 4) == 35

    def test_one_machine_adds_up_what_is_known_and_else_tells_of_trainings(self) -> None:
        steps = plan()
        for step in steps["steps"]:
            step["seconds"] = 130.0 if step["training"] else 20.0
        story = Story().tell("plan", steps)
        assert story.board.left(story.now) == Left(2 * 130 + 5 * 20, training_only=False)
        assert shown(story)[0].endswith("about 6 min left")
        steps["steps"][0]["seconds"] = None
        story = Story().tell("plan", steps)
        assert story.board.left(story.now) == Left(260, training_only=True)
        assert shown(story)[0].endswith("about 4 min of training left")

    def test_what_is_left_of_several_at_once_is_about_what_it_takes(self, events: list[Event]) -> None:
        end = events[-1].time - events[0].time
        for second in (20, 61, 90, 140, 200, 250):
            story = told(events, second)
            left = story.board.left(story.now)
            assert left is not None
            assert 0.6 * (end - second) <= left.seconds <= 1.3 * (end - second) + 10, second

    def test_each_kind_of_step_is_corrected_by_its_own_pace(self) -> None:
        story = Cluster(speed=3.0).run(60)  # 3 times as slow as expected: an ingest has ended, trainings run
        left = story.board.left(story.now)
        assert left is not None
        trainings = 8 * 300 - 4 * (story.now - story.board.rows[f"train-{VARIANTS[0]}"].since)
        others = 8 * 37.0  # of which none has told yet
        assert left.seconds == pytest.approx((trainings + others) / 4, rel=0.02)

    def test_slots_count_where_workers_offer_them_and_none_is_said_without_workers(self) -> None:
        story = Story().tell("plan", matrix()).tell("workers", workers=2, offers={"slots": 4})
        assert story.board.left(story.now) == Left((8 * 137 + 14) / 4, training_only=False)
        story.tell("workers", workers=2)
        assert story.board.left(story.now) == Left((8 * 137 + 14) / 2, training_only=False)
        story.tell("workers", workers=0)
        assert story.board.left(story.now) is None


class TestLateNews:
    KEY = f"train-{VARIANTS[0]}"

    def at_work(self) -> Story:
        story = Story().tell("plan", matrix()).tell("workers", workers=2)
        return story.tell("started", key=self.KEY, step="train", worker="a", engine="docker")

    def test_of_a_worker_that_was_given_up_moves_nothing(self) -> None:
        story = self.at_work().tell("lost", key=self.KEY, step="train", worker="a", text="gone")
        story.tell("progress", key=self.KEY, name="train", worker="a", step=5, steps=9)
        assert story.board.rows[self.KEY].status == "waiting" and not story.board.running
        story.tell("progress", key=self.KEY, name="train", worker="b", step=5, steps=9)
        assert story.board.rows[self.KEY].worker == "b" and list(story.board.running) == [self.KEY]

    def test_of_a_step_that_has_ended_moves_nothing(self) -> None:
        story = self.at_work().tell("finished", key=self.KEY, step="train", worker="a", seconds=9)
        story.tell("progress", key=self.KEY, name="train", worker="a", step=5, steps=9)
        story.tell("lost", key=self.KEY, step="train", worker="a", text="gone")
        assert story.board.rows[self.KEY].status == "done" and not story.board.running

    def test_a_step_that_somebody_else_began_is_at_work_too(self) -> None:
        story = Story().tell("plan", matrix())
        story.tell("progress", key=self.KEY, name="train", worker="b", step=5, steps=9)
        assert story.board.rows[self.KEY].status == "running"


class TestReporter:
    def test_with_a_key_an_event_is_of_its_step_whatever_else_runs(self) -> None:
        seen = Story().tell("plan", matrix()).tell("preparing", step="ingest", key="k", toolchain="tf1.15")
        seen.tell("started", step="train", key="t", worker="a", engine="docker")
        seen.tell("progress", step=1, steps=2).tell("progress", step=1, steps=2, key="t", worker="a")
        seen.tell("log", line="x", key="u", name="export", worker="b").tell("message", worker="b", text="hello")
        assert [(event.step, event.key, event.worker) for event in seen.events[2:]] == [
            ("train", "t", "a"), ("ingest", "k", ""), ("train", "t", "a"), ("export", "u", "b"), ("", "", "b"),
        ]  # fmt: skip

    def test_events_of_several_threads_are_told_one_at_a_time(self) -> None:
        stream = io.StringIO()
        report = Reporter(JsonLines(stream))
        threads = [
            threading.Thread(target=lambda name=str(number): [report("log", {"key": name}) for _ in range(200)])
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == 800


class TestPlain:
    def lines(self, cluster: Cluster, stream: io.StringIO) -> list[str]:
        cluster.run()
        return stream.getvalue().splitlines()

    def test_each_line_says_step_variant_and_worker(self) -> None:
        stream = io.StringIO()
        lines = self.lines(Cluster(Plain(stream)), stream)
        assert lines[:3] == ["plan     shapes 1.0.0: 8 variants, 57 steps, 0 cached", "build    waiting for workers",
                             "build    on 4 workers"]  # fmt: skip
        for line in (
            "ingest   all on rack-1: done in 14s, 1 of 57",
            "train    d0.25-96x96 on rack-1: started (docker)",
            "train    d0.5-96x96 on rack-3: lost, rack-3 was not heard of for 30s; it waits for another worker",
            "train    d0.5-96x96 on rack-10: started (docker), going on",
            "convert  d0.5-96x96 on rack-10: failed (bad-graph): an operator has no int8 kernel",
            "build    1 of 57 steps, 4 at work, on 4 workers, about 4 min left",
        ):
            assert line in lines
        assert len([line for line in lines if re.match(r"train    d0.25-96x160 on rack-2: step \d+/800  147.4", line)])
        ended = [line for line in lines if " done in " in line]
        assert len(ended) == 52 and ended[-1].endswith(", 52 of 57")
        assert len(lines) < 2.5 * 57

    def test_of_a_thousand_short_steps_most_are_only_counted(self) -> None:
        stream = io.StringIO()
        variants = [f"shapes-d{number:03}" for number in range(145)]
        lines = self.lines(Cluster(Plain(stream), matrix(variants), speed=0.01), stream)
        assert len(lines) < 400
        untold = sum(int(found[1]) for line in lines if (found := re.search(r"(\d+) short ones not told", line)))
        told = sum(" done in " in line for line in lines)
        assert untold + told == 1016

    def test_results_that_the_build_then_reads_are_no_news(self) -> None:
        stream = io.StringIO()
        cluster = Cluster(Plain(stream))
        story = cluster.run()
        before = stream.getvalue()
        story.tell("cached", step="ingest", key="ingest-shapes")
        assert stream.getvalue() == before
        assert story.board.rows["ingest-shapes"].status == "done"


def test_in_a_terminal_what_was_lost_and_what_failed_is_told_above(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "120", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)

    class Utf8(io.StringIO):
        encoding = "utf-8"

    stream = Utf8()
    cluster = Cluster()
    live = Live(stream, forced=True, clock=lambda: cluster.story.now)
    cluster.story._view = live
    cluster.run(2)
    assert live._drawn is not None  # it is to be seen that workers are waited for
    cluster.run().close()
    written = stream.getvalue()
    assert "train    d0.5-96x96 on rack-3: lost, rack-3 was not heard of for 30s; it waits for another" in written
    assert "convert  d0.5-96x96 on rack-10: failed (bad-graph): an operator has no int8 kernel" in written
