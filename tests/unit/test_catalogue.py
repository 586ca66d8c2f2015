"""What pages are made of: slugs, scales, drift, cards, the example for apps. No disk but for a layout."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.catalogue.courses import courses
from builder.catalogue.entry import Entry, entries_of
from builder.catalogue.example import python_example
from builder.catalogue.facts import shown
from builder.catalogue.markdown import html_of
from builder.catalogue.models import Model, models_of, sets_of
from builder.catalogue.offers import in_layout
from builder.catalogue.pages import site_of
from builder.catalogue.plot import Scale, linear, logarithmic
from builder.catalogue.scatter import pareto
from builder.catalogue.slugs import slug
from builder.catalogue.views import version
from builder.catalogue.wording import delta, kilobytes
from builder.registry.gate import Gate
from builder.release.layout import Layout
from builder.trust.memory import Memory
from builder.trust.policy import Origin, Policy
from tests.catalogue import Recipe, add, files_of, many


def models_in(layout: Layout, scratch: Path) -> list[Model]:
    gate = Gate(Policy(), Memory(scratch / "state"), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    scratch.mkdir(exist_ok=True)
    entries, left = entries_of(in_layout(layout, Origin("own", ""), gate), scratch)
    assert left == []
    return models_of(entries)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("many")
    return {model.name: model for model in models_in(many(folder / "releases"), folder / "scratch")}


@pytest.mark.parametrize("name", ["shapes", "raccoon-025", "1.2.0", "2.0.0-rc.1", "a"])
def test_a_plain_name_is_its_own_slug(name: str) -> None:
    assert slug(name) == name


@given(st.text(alphabet="ab.AB._+-0", min_size=1, max_size=128))
def test_a_slug_is_safe_in_every_file_system_and_address(name: str) -> None:
    made = slug(name)
    assert 0 < len(made) <= 80
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert made[0] not in ".-"
    assert made[-1] not in ".-" or made == name
    assert ".." not in made
    assert slug(name + "A") != made


@pytest.mark.parametrize("name", ["con", "NUL", "com1.txt", "..", ".", "A", "a" * 128, "-", "_", "a..b", "1.0.0+b"])
def test_an_odd_name_has_another_slug(name: str) -> None:
    assert slug(name) not in (name, name.lower())


def test_versions_are_in_order_and_the_newest_is_a_release(models: dict[str, Model]) -> None:
    model = models["shapes"]
    assert [step.entry.release.version for step in model.steps] == ["2.1.0-rc.1", "2.0.0", "1.1.0", "1.0.0"]
    assert model.newest.release.version == "2.0.0"
    assert model.steps[-1].drift is None


def test_drift_is_told_where_two_versions_compare(models: dict[str, Model]) -> None:
    candidate, second, first = (step.drift for step in models["shapes"].steps[:3])
    assert first is not None and second is not None and candidate is not None
    assert first.map == pytest.approx(0.052)
    assert first.latency == pytest.approx(-0.003)
    assert second.size == 1_102_400 - 1_437_360
    assert second.added == ("star",)
    assert candidate.latency is None  # on another processor
    assert candidate.map == pytest.approx(0.003)


def test_drift_tells_what_an_app_has_to_change(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    add(layout, Recipe("a", "1.0.0", classes=("x", "y")))
    add(layout, Recipe("a", "1.1.0", classes=("y", "x")))
    add(layout, Recipe("a", "1.2.0", classes=("y",), quantization={"type": "uint8-qat"}, test_set="others"))
    (model,) = models_in(layout, tmp_path / "scratch")
    last, middle = (step.drift for step in model.steps[:2])
    assert middle is not None and last is not None
    assert middle.reordered and not middle.input and not middle.test_set
    assert last.removed == ("x",) and last.input and last.test_set and not last.reordered
    assert last.map is None


def test_drift_tells_quantization_and_licence(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    add(layout, Recipe("a", "1.0.0"))
    add(layout, Recipe("a", "1.1.0", quantization={"type": "int8", "interface": "float32"}))
    add(layout, Recipe("a", "1.2.0", quantization={"type": "int8", "interface": "float32"}, license="MIT"))
    add(layout, Recipe("a", "1.3.0", quantization={"type": "int8", "interface": "float32"}, license="MIT"))
    (model,) = models_in(layout, tmp_path / "scratch")
    drifts = [step.drift for step in reversed(model.steps)]
    told = [(each.quantization, each.license) for each in drifts if each is not None]
    assert told == [(("float32", "int8"), None), (None, ("Apache-2.0", "MIT")), (None, None)]
    changes = [version(step, model).changes for step in reversed(model.steps)]
    assert changes == [(), ("quantization: float32 → int8",), ("licence: Apache-2.0 → MIT",), ()]


def test_charts_have_what_compares_with_the_newest(models: dict[str, Model]) -> None:
    drawn = {plot.title: [dot.text for dot in plot.dots] for plot in courses(models["shapes"])}
    assert list(drawn) == ["mAP", "Size, MB", "Latency, ms, AMD EPYC"]
    assert len(drawn["mAP"]) == 4
    assert [text.split(":")[0] for text in drawn["Latency, ms, AMD EPYC"]] == ["1.0.0", "1.1.0", "2.0.0"]
    assert courses(models["birds"]) == []


@pytest.mark.parametrize(
    ("classes", "unfound", "untested", "says", "not_says"),
    [
        (6, (), (), [], ["not drawn", "No curve"]),
        (7, (), (), ["The classes with the most boxes; 1 more is not drawn."], ["No curve"]),
        (9, (), (), ["3 more are not drawn."], ["No curve"]),
        (3, ("c1",), (), ["No curve, as nothing of it was found: c1."], ["not drawn", "no test picture"]),
        (3, (), ("c0", "c2"), ["No curve, as no test picture has it: c0, c2."], ["not drawn", "was found"]),
        (8, ("c1",), (), ["1 more is not drawn.", "nothing of it was found: c1."], []),
    ],
)
def test_a_class_without_a_curve_is_told_with_the_reason(
    tmp_path: Path,
    classes: int,
    unfound: tuple[str, ...],
    untested: tuple[str, ...],
    says: list[str],
    not_says: list[str],
) -> None:
    recipe = Recipe("a", classes=tuple(f"c{number}" for number in range(classes)), curves=True)
    evaluation = json.loads(files_of(recipe)["evaluation.json"])
    for name in (*unfound, *untested):
        evaluation["precision_recall"][name]["precision"] = [0.0 if name in unfound else None] * 101
        evaluation["precision_recall"][name]["boxes"] = 100 if name in unfound else 0
    layout = Layout(tmp_path / "releases")
    add(layout, recipe, evaluation_json=json.dumps(evaluation).encode())
    page = site_of(models_in(layout, tmp_path / "scratch"), "").pages["models/a/index.html"].decode()
    for text in says:
        assert text in page
    for text in not_says:
        assert text not in page


def test_the_picture_joins_only_what_was_tested_on_the_same_pictures(models: dict[str, Model]) -> None:
    every = list(models.values())
    sets = sets_of(every)
    assert sorted(sets.values()) == ["A", "B", "C", "D"]
    plot = pareto(every, sets, {name: name for name in models})
    assert plot is not None
    dots = {dot.link: dot for dot in plot.dots}
    assert {name for name, dot in dots.items() if dot.best} == {
        "shapes", "shapes-int8", "shapes-uint8", "raccoon-025", "raccoon-050"
    }  # fmt: skip
    assert len(plot.lines) == 2
    assert len({dots[name].colour for name in ("birds", "shapes", "raccoon-025", "Odd_Name+x")}) == 4
    assert not dots["birds"].known
    assert dots["raccoon-050"].radius > dots["raccoon-025"].radius > dots["shapes"].radius
    assert dots["shapes-uint8"].x < dots["shapes"].x < dots["birds"].x
    assert dots["shapes"].y < dots["birds"].y < dots["Odd_Name+x"].y


def test_dots_stay_inside_the_axes_and_a_close_neighbour_leaves_room_for_a_label(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    sizes = {"tiny-uint8-qat": 707_000, "tiny-dynamic": 715_000, "tiny-int8": 720_000, "tiny-float16": 1_317_000}
    for name, size in sizes.items():
        add(layout, Recipe(name, map=0.0, size=size))
    add(layout, Recipe("perfect", map=1.0, size=1_440_000))
    every = models_in(layout, tmp_path / "scratch")
    plot = pareto(every, sets_of(every), {model.name: model.name for model in every})
    assert plot is not None
    for dot in plot.dots:
        assert plot.frame.left < dot.x - dot.radius and dot.x + dot.radius < plot.frame.right
        assert plot.frame.top < dot.y - dot.radius and dot.y + dot.radius < plot.frame.bottom
    assert {dot.label for dot in plot.dots} == {*sizes, "perfect"}


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 9)), min_size=1, max_size=30))
def test_labels_of_a_crowd_do_not_lie_on_each_other(places: list[tuple[int, int]]) -> None:
    from builder.catalogue.plot import Dot, Frame
    from builder.catalogue.scatter import _labelled

    frame = Frame(1100, 430, 60, 20, 1080, 380, (), ())
    dots = [Dot(60 + 2.0 * x, 380 - 36.0 * y, 6.0, 1, "", label=f"model-{x}") for x, y in places]
    boxes = []
    for dot in _labelled(dots, frame):
        if dot.label:
            wide = 7 * len(dot.label)
            left = dot.label_x - {"start": 0.0, "end": wide, "middle": wide / 2}[dot.anchor]
            boxes.append((left, dot.label_y - 11, left + wide, dot.label_y + 4))
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=9))
def test_a_scale_has_room_for_all_and_some_round_ticks(values: list[float]) -> None:
    for scale in (linear(values, 0, 500), logarithmic(values, 0, 500)):
        for value in values:
            assert 0 <= scale.at(value) <= 500
        ticks = scale.ticks()
        assert 2 <= len(ticks) <= 10
        assert all(-0.1 <= tick.at <= 500.1 for tick in ticks)
        assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)


def test_ticks_are_the_round_values() -> None:
    assert [tick.text for tick in Scale(0, 1, 0, 100).ticks()] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert [tick.text for tick in Scale(0.4, 6, 0, 100, log=True).ticks()] == ["0.5", "1", "2", "5"]
    assert Scale(1, 100, 0, 10, log=True).at(10) == 5
    assert not math.isnan(linear([0.0], 0, 1).at(0.0))


@pytest.mark.parametrize(
    ("name", "feed"),
    [
        ("shapes", "values = (pixels.astype(np.float32) - 127.5) / 127.5"),
        ("shapes-uint8", "values = pixels.astype(np.uint8)"),
    ],
)
def test_the_example_feeds_a_model_as_it_was_trained(models: dict[str, Model], name: str, feed: str) -> None:
    entry: Entry = models[name].newest
    program = python_example(entry.facts)
    compile(program, name, "exec")
    assert feed in program
    assert f">= {entry.facts.operating_point.score:g}:" in program
    assert "boxes, classes, scores, count = (" in program


def test_a_card_becomes_html_that_does_nothing() -> None:
    text = (
        '---\nlicense: "mit"\n---\n# Title\n\n<script>alert(1)</script> <b>x</b>\n\n'
        "[a](javascript:alert(1)) [b](metrics.json) [c](https://example.org) [d](JAVASCRIPT:x) "
        "[e](data:text/html,x)\n\n"
        "![p](https://example.org/p.png)\n\n| n |\n|--:|\n| 1 |\n\n    code <i>\n"
    )
    made = str(html_of(text))
    assert "license" not in made
    assert "<h3>Title</h3>" in made
    assert '<td class="number">1</td>' in made
    assert made.count("<a ") == 2
    assert made.count('href="https://example.org') == 2  # the picture is a link to it
    for word in ("<script", "<b>", "<img", "<i>", "style=", "onerror"):
        assert word not in made


def test_what_has_no_look_is_not_shown() -> None:
    assert shown("a\x00b\u202ec\u2066d\n e\tf") == "a\ufffdb\ufffdc\ufffdd e f"
    assert shown("naïve 猫 \u200d") == "naïve 猫 \u200d"


def test_figures_in_words() -> None:
    assert delta(None, ".3f", more_is_better=True, least=0) is None
    up = delta(0.0123, ".3f", more_is_better=True, least=5e-4)
    assert up is not None and (up.text, up.look) == ("+0.012", "good")
    slower = delta(0.02, ".2g", " ms", more_is_better=False, least=0, noise=0.01)
    assert slower is not None and (slower.text, slower.look) == ("+0.02 ms", "bad")
    noise = delta(-0.02, ".2g", " ms", more_is_better=False, least=0, noise=0.1)
    assert noise is not None and noise.look == "soft"
    same = delta(1e-5, ".3f", more_is_better=True, least=5e-4)
    assert same is not None and same.text == "±0"
    assert [kilobytes(size) for size in (23, 9_999, 54_994, 1_437_360)] == ["23 B", "9,999 B", "55 kB", "1.437 MB"]
