"""What a terminal of some size shows of a build, as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.progress.glyphs import ASCII, UNICODE, Glyphs, glyphs_for
from builder.progress.screen import screen, text_of
from tests.unit.progress_story import BOTH, Story, in_training, plan


def shown(story: Story, width: int = 100, height: int = 40, glyphs: Glyphs = UNICODE) -> list[str]:
    return text_of(screen(story.board, width, height, story.now, glyphs)).splitlines()


def line_of(story: Story, name: str, **size: Any) -> str:
    return next(line for line in shown(story, **size) if name in line.split()[:3])


def test_all_steps_stand_there_from_the_start_and_shared_ones_once() -> None:
    heading, *steps = shown(Story().tell("plan", plan()))
    assert " ".join(heading.split()) == "shapes 1.0.0 0 of 7 steps 0.0s about 3 min of training left"
    assert [line.split()[1:4] for line in steps] == [
        ["ingest", "all", "waiting"],
        *([name, variant, "waiting"] for variant in ("d100", "d099") for name in ("train", "export", "package")),
    ]


def test_a_step_of_some_variants_says_of_how_many() -> None:
    plans = plan(variants=3)
    plans["steps"][1]["variants"] = plans["variants"][:2]
    assert line_of(Story().tell("plan", plans), "train").split()[1:5] == ["train", "2", "of", "3"]


def test_one_variant_needs_no_name() -> None:
    assert line_of(Story().tell("plan", plan(variants=1)), "export").split() == ["·", "export", "waiting"]


def test_a_training_shows_rate_time_left_and_its_loss_as_a_curve() -> None:
    story = in_training()
    line = line_of(story, "train")
    for part in ("▸ train", "d100", "━━━━━━━━────────", "400/800", "147.4 images/s", "50s", "ETA 50s"):
        assert part in line
    loss = shown(story, width=130)[3].split()
    assert loss[:2] == ["loss", "1.995"]
    assert loss[2][0] == "█" and loss[2][-1] == "▁" and list(loss[2]) == sorted(loss[2], reverse=True)
    assert " ".join(loss[3:]) == "lr 0.0011 (classification 0.900, localization 0.500)"
    # Half a minute in which nothing was said.
    assert "ETA 20s" in line_of(story.after(30), "train")
    # What was learnt stays to be seen, through what follows and to the end.
    story.tell("progress", stage="evaluating", step=0, steps=1)
    assert "evaluating" in line_of(story, "train") and "loss 1.995 █" in shown(story)[3]
    story.ends("train", BOTH[0], seconds=99)
    assert "✓ train   d100  done in 1m39s" in line_of(story, "train") and "loss 1.995 █" in shown(story)[3]


def test_pictures_are_counted_with_a_rate_of_their_own_for_each_stage() -> None:
    story = Story().tell("plan", plan()).runs("ingest", *BOTH)
    for stage in ("decoding", "writing"):
        for done in range(0, 61, 20):
            story.tell("progress", stage=stage, step=done, steps=100).after(2)
    line = line_of(story, "ingest")
    for part in ("writing", "60/100", "10.0/s", "ETA 2.0s"):
        assert part in line
    # Of three pieces of very different size nobody is told how many a second.
    story.runs("export", BOTH[0])
    for done in (1, 2):
        story.after(5).tell("progress", stage="TFLite graph", step=done, steps=3)
    assert "2/3" in line_of(story, "export")
    assert "/s" not in line_of(story, "export") and "ETA" not in line_of(story, "export")


def test_a_toolchain_that_is_made_ready_is_seen() -> None:
    story = Story().tell("plan", plan()).tell("preparing", step="ingest", key="ingest-shapes-d100-shapes-d099",
                                              toolchain="tf1.15").after(75)  # fmt: skip
    assert line_of(story, "ingest").split()[3:] == ["toolchain", "tf1.15", "1m15s"]


def test_a_cached_step_is_cached_and_what_ran_for_another_variant_stays_done() -> None:
    story = Story().tell("plan", plan(cached=True))
    assert line_of(story, "ingest").split() == ["✓", "ingest", "all", "cached"]
    story = Story().tell("plan", plan()).runs("ingest", *BOTH).ends("ingest", *BOTH, seconds=12)
    story.tell("cached", step="ingest", key="ingest-shapes-d100-shapes-d099")
    assert "done in 12s" in line_of(story, "ingest")
    assert "1 of 7 steps" in shown(story)[0] and "cached" not in shown(story)[0]


@pytest.mark.parametrize(
    ("code", "says"), [("interrupted", "■ train   d100  stopped after 50s  at 400/800"),
                       ("out-of-memory", "✗ train   d100  failed after 50s  at 400/800  out-of-memory")]
)  # fmt: skip
def test_what_did_not_end_well_says_how_far_it_came(code: str, says: str) -> None:
    story = in_training().tell("failed", step="train", key=f"train-{BOTH[0]}", code=code).after(5)
    assert says in line_of(story, "train")
    assert "waiting" in line_of(story, "export")


class TestTimeLeft:
    def test_trainings_that_wait_are_predicted_at_the_pace_of_those_that_ran(self) -> None:
        story = in_training()  # 100 s for one that was predicted to take 100 s
        assert round(story.board.training_left(story.now) or 0) == 50 + 100
        story.ends("train", BOTH[0], seconds=300)
        assert story.board.training_left(story.now) == 300
        assert "about 5 min of training left" in shown(story)[0]

    def test_the_rest_of_a_stopped_training_sets_no_pace(self) -> None:
        story = Story().tell("plan", plan()).runs("train", BOTH[0])
        story.after(10).trains(700, eta_seconds=10).after(10).trains(800, eta_seconds=0)
        story.ends("train", BOTH[0], seconds=20)
        assert story.board.training_left(story.now) == 100

    def test_nothing_is_said_where_a_training_cannot_be_predicted_or_none_is_left(self) -> None:
        unknown = plan()
        unknown["steps"][4]["predicted_seconds"] = None
        assert Story().tell("plan", unknown).board.training_left(0.0) is None
        cached = plan()
        for item in cached["steps"]:
            item["cached"] = True
        story = Story().tell("plan", cached)
        assert story.board.training_left(0.0) is None
        assert "training" not in shown(story)[0]


def test_forty_columns_keep_what_matters() -> None:
    line = line_of(in_training(), "train", width=40)
    assert len(line) <= 40
    for part in ("▸ train", "d100", "400/800", "ETA 50s"):
        assert part in line
    assert "loss 1.995 █" in shown(in_training(), width=40)[3]


def test_more_steps_than_lines_show_those_at_work_and_count_the_others() -> None:
    story = Story().tell("plan", plan(variants=30))
    names = [f"shapes-d{100 - number:03}" for number in range(30)]
    story.runs("ingest", *names).ends("ingest", *names)
    for name in names[:10]:
        for one in ("train", "export", "package"):
            story.runs(one, name).ends(one, name)
    story.runs("train", names[10]).trains(5)
    lines = shown(story, height=12)
    assert len(lines) == 12
    assert "more above" in lines[1] and "done" in lines[1]
    assert "more below" in lines[-1] and "waiting" in lines[-1]
    assert any("▸ train" in line and "d090" in line for line in lines)
    above, below = int(lines[1].split()[1]), int(lines[-1].split()[1])
    assert above + below + (12 - 3 - 1) == len(story.board.rows)


@pytest.mark.parametrize("done", [0, 45, 90])
def test_at_every_height_the_step_at_work_is_seen(done: int) -> None:
    story = Story().tell("plan", plan(variants=30))
    story.runs(*[("train", f"shapes-d{100 - number:03}") for number in range(30)][done // 4]).trains(5)
    for height in range(1, 60):
        lines = shown(story, height=height)
        assert len(lines) <= height
        assert height < 3 or any("▸ train" in line or "loss" in line for line in lines)


def test_ascii_and_words_say_all_that_other_signs_and_colours_do() -> None:
    story = in_training().tell("progress", stage="Überprüfung", step=1, steps=9)
    lines = shown(story, glyphs=ASCII)
    assert all(line.isascii() for line in lines)
    assert any("> train" in line and "?berpr?fung" in line for line in lines)
    loss = next(line for line in lines if "loss" in line)
    assert "@" in loss and "." in loss


@pytest.mark.parametrize(
    ("encoding", "environ", "glyphs"),
    [
        ("utf-8", {}, UNICODE),
        ("utf-8", {"LANG": "de_DE.UTF-8"}, UNICODE),
        ("utf-8", {"LANG": "C.utf8", "LC_ALL": ""}, UNICODE),
        ("utf-8", {"LANG": "en_GB.UTF-8@euro"}, UNICODE),
        ("utf-8", {"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, ASCII),
        ("utf-8", {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, ASCII),
        ("utf-8", {"LANG": "de_DE.ISO-8859-1"}, ASCII),
        ("utf-8", {"LANG": "de_DE.UTF-8", "TERM": "linux"}, ASCII),
        ("ascii", {}, ASCII),
        (None, {}, ASCII),
    ],
)
def test_signs_are_those_of_the_locale(encoding: str | None, environ: dict[str, str], glyphs: Glyphs) -> None:
    assert glyphs_for(encoding, environ) is glyphs


ANYTHING: tuple[Any, ...] = (
    None, True, 0, 1, 7, 90, -3, 10**400, -(10**20), 0.5, 1e308, -1e308, float("nan"), float("inf"), "", "fast",
    "x" * 9000, "\x1b[2J\x9b\r\n\t\u202e", "日本語の段階", "e\u0301\u0301", "\ud800", [], [1], {},
    {"a": 1.5, "b": [], "\n\x1b": 2}, {str(number): number for number in range(5000)},
)  # fmt: skip
FIELDS = ("stage", "step", "steps", "done", "total", "unit", "images_per_second", "loss", "losses", "learning_rate",
          "eta_seconds")  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(ANYTHING), max_size=8), max_size=5),
    st.integers(1, 130),
    st.integers(1, 20),
    st.sampled_from([ASCII, UNICODE]),
)
def test_no_progress_that_a_step_can_send_breaks_a_line(
    said: list[dict[str, Any]], width: int, height: int, glyphs: Glyphs
) -> None:
    story = Story().tell("plan", plan()).runs("train", BOTH[0])
    for detail in said:
        story.after(1).tell("progress", detail)
    lines = [("".join(text for text, _ in line)) for line in screen(story.board, width, height, story.now, glyphs)]
    assert len(lines) <= height
    assert all(len(line) <= width and line.isprintable() for line in lines)
