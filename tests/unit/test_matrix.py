"""Variants: how a matrix expands, what they are called, what they share, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import BudgetExceeded, InvalidManifest
from builder.lock.model import Lock
from builder.lock.toolchains import lock_toolchain
from builder.manifest.family import Family
from builder.manifest.load import loads
from builder.manifest.selection import Select
from builder.plan.announced import announced
from builder.plan.code import read_step_code
from builder.plan.make import make_plan
from builder.plan.merge import merged
from builder.plan.step import Plan, Step
from builder.predict.manifest import predicted
from builder.release.figures import Figures
from builder.release.select import Candidate, judge, released
from builder.report.pareto import Point, draw, frontier
from builder.resources import steps_folder

SHAPES = (Path(__file__).parents[2] / "manifests" / "shapes.yaml").read_text()
WITHOUT = SHAPES.replace("  depth_multiplier: 0.25      # width of the network\n", "").replace(
    "  input_shape: [96, 96, 3]    # height, width, channels\n", ""
)
MATRIX = "matrix:\n  model.depth_multiplier: [0.25, 0.5, 1.0]\n  model.input_shape: [[96, 96, 3], [96, 160, 3]]\n"
FOUR = "quantization: [float32, float16, dynamic, {type: int8, interface: uint8}]"
CODE = read_step_code(steps_folder())


def family(text: str) -> Family:
    return loads(text, "m.yaml")


def plans(of: Family) -> list[Plan]:
    names = ("tf1.15", "litert")
    lock = Lock(manifest_digest=of.digest, toolchains={name: lock_toolchain(name) for name in names})
    return [make_plan(manifest, lock, CODE) for manifest in of.manifests]


def test_three_depths_two_shapes_and_four_quantizations_train_six_times() -> None:
    made = family(WITHOUT.replace("quantization: float32", FOUR) + MATRIX)
    assert len(made.variants) == 24
    steps = [step.module for step, _ in merged(plans(made))]
    assert {name: steps.count(name) for name in ("ingest", "train", "export", "convert", "verify", "package")} == {
        "ingest": 1, "train": 6, "export": 6, "convert": 24, "verify": 24, "package": 24,
    }  # fmt: skip


def test_quantization_aware_training_starts_from_the_shared_float_training() -> None:
    made = family(SHAPES.replace("quantization: float32", "quantization: [float32, uint8-qat]"))
    counted = [(step.module, users) for step, users in merged(plans(made))]
    # The float graph is exported once for both, the rounded one for one of them.
    assert [users for module, users in counted if module == "export"] == [2, 1]
    assert ("train", 2) in counted and ("qat", 1) in counted and ("ingest", 2) in counted


def test_names_of_variants() -> None:
    made = family(WITHOUT.replace("quantization: float32", FOUR) + MATRIX)
    names = [variant.manifest.name for variant in made.variants]
    assert names[0] == "shapes-d025-96x96-float32" and names[-1] == "shapes-d100-96x160-int8"
    assert len(set(names)) == 24
    assert made.variants[-1].choices["model.input_shape"] == [96, 160, 3]
    twice = family(
        SHAPES.replace("quantization: float32", "quantization: [int8, {type: int8, interface: uint8}]").replace(
            "  max_map_drop: 0.005         # what the .tflite may lose against the frozen graph\n", ""
        )
    )
    assert [variant.label for variant in twice.variants] == ["int8-1", "int8-2"]


def test_a_single_manifest_is_a_family_of_one() -> None:
    made = family(SHAPES)
    assert made.only.name == "shapes" and made.digest == made.only.digest and made.variants[0].label == ""


@pytest.mark.parametrize(
    ("addition", "code", "words"),
    [
        ("matrix: {model.depth_multiplier: [0.25, 0.5]}", "conflict", "depth_multiplier"),
        ("matrix: {train.seeed: [1, 2]}", "unknown-key", "train.seeed"),
        ("matrix: {train.progressive.steps: [9000]}", "missing-key", "train.progressive.steps"),
        ("matrix: {name: [a, b]}", "unsupported", "name"),
        ("matrix: {dataset.source: [a, b]}", "unsupported", "dataset.source"),
        ("matrix: {dataset.classes: [[circle], [square]]}", "unsupported", "dataset.classes"),
        ("matrix: {model.min_depth: 8}", "wrong-type", "8"),
        ("matrix: {model.min_depth: []}", "wrong-type", "[]"),
        ("matrix: {model.min_depth: [8, 8]}", "duplicate-value", "8"),
        ("matrix: {model.min_depth: [8, 65]}", "out-of-range", "65"),
        ("matrix: []", "wrong-type", "[]"),
        ("matrix: {model.min_depth: [8, 16], train.seed: [1, 2]}\nselect: {best: speed}", "unknown-value", "speed"),
        ("select: budgets", "no-effect", "select"),
        ("select: cheapest", "unknown-value", "cheapest"),
    ],
)
def test_what_is_wrong_with_a_matrix_is_told_at_its_place(addition: str, code: str, words: str) -> None:
    base = SHAPES.replace("  seed: 1\n", "") if "seed:" in addition else SHAPES
    text = base + addition + "\n"
    with pytest.raises(InvalidManifest) as caught:
        family(text)
    lines = text.splitlines()
    told = [
        (item.code, lines[item.span.line - 1][item.span.column - 1 :][: item.span.length])
        for item in caught.value.diagnostics
    ]
    assert (code, words) in told


def test_too_many_variants() -> None:
    text = (
        SHAPES.replace("  seed: 1\n", "")
        + f"matrix: {{train.seed: {list(range(64))}, model.min_depth: [1, 2, 3, 4, 5]}}\n"
    )
    with pytest.raises(InvalidManifest) as caught:
        family(text)
    assert [item.code for item in caught.value.diagnostics] == ["out-of-range"]
    assert "320" in caught.value.diagnostics[0].message


def test_budgets_that_judge_nothing_are_told() -> None:
    quantized = SHAPES.replace("quantization: float32", "quantization: [float16, dynamic]")
    with pytest.raises(InvalidManifest) as caught:
        family(quantized)
    assert [item.code for item in caught.value.diagnostics] == ["no-effect"]
    with pytest.raises(InvalidManifest):
        family(SHAPES.replace("max_map_drop", "max_quant_drop"))
    both = SHAPES.replace("  max_map_drop", "  max_quant_drop: 0.02\n  max_map_drop")
    assert len(family(both.replace("quantization: float32", "quantization: [float32, int8]")).variants) == 2


def candidate(name: str, size: int, map50: float, milliseconds: float, *misses: str) -> Candidate:
    metrics = {"size": size, "stages": {"tflite_litert": {"map": map50 / 2, "map50": map50}}}
    return Candidate(name, Figures(metrics, {"latency_ms": {"median": milliseconds}}), misses)


SMALL, GOOD, FAST = candidate("s", 1, 0.5, 9), candidate("g", 3, 0.9, 5), candidate("f", 2, 0.6, 1)
BAD = candidate("b", 0, 0.1, 0.1, "min_map50: mAP@0.5 is 0.100")


def test_select_keeps_those_within_their_budgets_or_the_best_of_them() -> None:
    every = [SMALL, BAD, GOOD, FAST]
    assert released(None, every) == released(Select(), every) == [True, False, True, True]
    for best, index in (("size", 0), ("map50", 2), ("map", 2), ("latency", 3)):
        assert released(Select(best=best), every).index(True) == index
        assert sum(released(Select(best=best), every)) == 1


def test_a_missed_budget_fails_the_build_unless_select_allows_for_it() -> None:
    with pytest.raises(BudgetExceeded) as caught:
        judge(None, [SMALL, BAD])
    assert "b: min_map50" in caught.value.message and "select" in (caught.value.help or "")
    judge(Select(), [SMALL, BAD])
    with pytest.raises(BudgetExceeded):
        judge(Select(best="size"), [BAD])


def test_the_frontier_is_what_no_other_beats(tmp_path: Path) -> None:
    a, b, c = Point("a", 1, 0.5, 5, True), Point("b", 2, 0.5, 6, True), Point("c", 3, 0.4, 1, False)
    assert frontier([a, b, c]) == [a, c]
    assert frontier([a, Point("same", 1, 0.5, 5, True)]) == [a, Point("same", 1, 0.5, 5, True)]
    draw([a, b, c], "three", tmp_path / "p.png")
    draw([a, b, c], "three", tmp_path / "q.png")
    assert (tmp_path / "p.png").read_bytes() == (tmp_path / "q.png").read_bytes()


def test_what_is_announced_has_every_step_once_with_its_variants_and_predicts_only_trainings_to_run() -> None:
    two = "matrix:\n  model.depth_multiplier: [0.25, 0.5]\n"
    of = family(
        SHAPES.replace("  depth_multiplier: 0.25      # width of the network\n", "").replace(
            "quantization: float32", FOUR
        )
        + two
    )
    them = plans(of)
    trained = them[0].step("train").key
    asked = []

    def cached(key: str) -> bool:
        asked.append(key)
        return key == trained

    def seconds(step: Step) -> float | None:
        timed.append(step.key)
        return 7.5 if step.name == "export" else None

    timed: list[str] = []
    both = list(zip(of.manifests, them, strict=True))
    said = announced(of.name, of.version, both, cached=cached, seconds=seconds)
    assert said["variants"] == [plan.name for plan in them]
    assert [step["key"] for step in said["steps"]] == [step.key for step, _ in merged(them)] == asked
    assert [len(step["variants"]) for step in said["steps"]] == [users for _, users in merged(them)]
    assert said["steps"][0]["variants"] == said["variants"]
    one, other = (step for step in said["steps"] if step["training"])
    assert (one["cached"], one["predicted_seconds"]) == (True, None)
    waits = next(manifest for manifest, plan in zip(of.manifests, them, strict=True) if plan.name in other["variants"])
    assert (other["cached"], other["predicted_seconds"]) == (False, predicted(waits)["training_seconds"])
    assert {step["predicted_seconds"] for step in said["steps"] if step["name"] != "train"} == {None}
    assert {step["seconds"] for step in said["steps"] if step["name"] == "export"} == {7.5}
    assert {step["seconds"] for step in said["steps"] if step["name"] != "export"} == {None}
    assert timed == [key for key in asked if key != trained]  # of what is there already nobody wants to know
    seen: set[str] = set()
    for step in said["steps"]:
        assert seen.issuperset(step["needs"])  # each comes after what it needs
        seen.add(step["key"])
    assert said["steps"][0]["needs"] == [] and said["steps"][0]["key"] in one["needs"]
    assert {step["seconds"] for step in announced(of.name, of.version, both, cached=cached)["steps"]} == {None}
