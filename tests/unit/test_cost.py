"""What steps cost: their work from parameters, seconds and memory from past runs."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.cost.model import USUAL, CostModel
from builder.cost.work import UNKNOWN, work
from builder.digest import digest_bytes
from builder.lock.file import load_lock
from builder.manifest.load import loads
from builder.plan.code import read_step_code
from builder.plan.make import make_plan
from builder.plan.step import Plan
from builder.predict.manifest import predicted
from builder.resources import steps_folder
from builder.store.base import StepResult

ROOT = Path(__file__).resolve().parents[2]
CODE = read_step_code(steps_folder())


def changed(*pairs: tuple[str, str]) -> Plan:
    """The plan of the demo with some of its manifest's text replaced."""
    text = (ROOT / "manifests" / "shapes.yaml").read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return make_plan(loads(text, "shapes").manifests[0], load_lock(ROOT / "manifests" / "shapes.lock"), CODE)


def result(step: str, work: float | None, seconds: float, **run: Any) -> StepResult:
    facts = {"seconds": seconds, **({} if work is None else {"work": work}), **run}
    return StepResult(digest_bytes(repr((step, work, seconds, run)).encode()), step, (), facts)


def test_the_work_of_a_training_is_what_is_predicted_for_it() -> None:
    manifest = loads((ROOT / "manifests" / "shapes.yaml").read_text(), "shapes").manifests[0]
    assert work(changed().step("train")) == pytest.approx(predicted(manifest)["training_seconds"], abs=0.5)


def test_work_grows_with_what_there_is_to_do() -> None:
    base = changed()
    longer, wider = changed(("steps: 800", "steps: 1600")), changed(("multiplier: 0.25", "multiplier: 1.0"))
    more = changed(("images: 3000", "images: 6000"))
    aware = changed(
        ("quantization: float32", "quantization: {type: uint8-qat, steps: 100}"), ("max_map_drop", "max_quant_drop")
    )
    assert work(longer.step("train")) == pytest.approx(2 * work(base.step("train")), rel=1e-4)
    assert work(more.step("ingest")) == 2 * work(base.step("ingest")) == 6.0
    for name in ("train", "convert", "infer", "verify", "measure"):
        assert work(wider.step(name)) > work(base.step(name)) > 0
    # Fine-tuning has no kernels: an eighth of the steps of a training, at 1/3.5 of its speed.
    assert work(aware.step("qat")) == pytest.approx(work(base.step("train")) / 8 * 3.5, rel=1e-4)
    assert work(aware.step("float-export")) == work(aware.step("export")) > 0
    assert work(base.step("embed")) == work(base.step("package")) == UNKNOWN


def test_parameters_of_another_tinsmith_have_no_known_work() -> None:
    for step in changed().steps:
        assert work(replace(step, params={})) == work(replace(step, params={"model": None})) == UNKNOWN


def test_what_was_never_seen_costs_what_is_usual() -> None:
    model = CostModel.learnt([])
    assert (model.runs, model.source("train"), model.memory_mb("train", 1.0)) == (0, "predicted", None)
    assert model.seconds("train", 600.0) == USUAL["train"].fixed + 600.0
    assert model.seconds("something", 3.0) > 0


def test_one_run_tells_how_fast_the_machine_is() -> None:
    usual = USUAL["train"]
    model = CostModel.learnt([result("train", 100.0, 2 * usual.at(100.0), memory_mb=1000.0)])
    assert (model.runs, model.source("train"), model.source("verify")) == (1, "measured", "predicted")
    assert model.seconds("train", 300.0) == pytest.approx(2 * usual.at(300.0))
    assert model.memory_mb("train", 120.0) == pytest.approx(1300.0)
    assert model.memory_mb("train", 300.0) is None, "a training three times as large may need more"


@given(fixed=st.floats(0.5, 60), slope=st.floats(0.01, 5), seed=st.integers(0, 2**20), wrong=st.floats(0.01, 100))
def test_a_line_is_found_although_a_fifth_of_the_runs_were_disturbed(
    fixed: float, slope: float, seed: int, wrong: float
) -> None:
    drawn = random.Random(seed)
    runs = [(w, (fixed + slope * w) * drawn.uniform(0.97, 1.03)) for w in (drawn.uniform(10, 1000) for _ in range(30))]
    runs = [(w, s * wrong if number % 5 == 4 else s) for number, (w, s) in enumerate(runs)]
    model = CostModel.learnt(result("train", *run) for run in runs)
    for w in (50.0, 500.0, 1000.0):
        assert model.seconds("train", w) == pytest.approx(fixed + slope * w, rel=0.35)


def test_runs_that_went_on_from_a_checkpoint_are_left_out_but_not_their_memory() -> None:
    whole = [result("train", 100.0 * n, 10.0 + 100.0 * n, memory_mb=500.0) for n in (1, 2, 3, 4)]
    rest = [result("train", 100.0 * n, 1.0, resumed=True, memory_mb=900.0) for n in (1, 2, 3, 4)]
    model = CostModel.learnt([*rest, *whole])
    assert model.runs == 4
    assert model.seconds("train", 250.0) == pytest.approx(260.0)
    assert model.memory_mb("train", 250.0) == pytest.approx(1170.0)


def test_data_of_unknown_size_costs_what_such_data_cost() -> None:
    drawn = [result("ingest", 3.0, 9.0), result("ingest", 6.0, 18.0), result("ingest", 9.0, 27.0)]
    model = CostModel.learnt([*drawn, *(result("ingest", UNKNOWN, seconds) for seconds in (40.0, 50.0, 900.0))])
    assert model.seconds("ingest", UNKNOWN) == 50.0
    assert model.seconds("ingest", 12.0) == pytest.approx(36.0)
    assert CostModel.learnt(drawn).seconds("ingest", UNKNOWN) == 18.0


def test_what_is_around_a_step_is_told_apart() -> None:
    model = CostModel.learnt(result("infer", 1.0, 10.0, moving_seconds=seconds) for seconds in (2.0, 3.0, 50.0))
    assert (model.moving_seconds("infer"), model.seconds("infer", 1.0)) == (3.0, 10.0)
    assert 0 < model.moving_seconds("train") < 1


def test_larger_work_never_costs_less_and_nothing_costs_nothing() -> None:
    falling = [result("infer", w, 10.0 - w) for w in (1.0, 2.0, 3.0, 4.0)]
    model = CostModel.learnt([*falling, result("embed", UNKNOWN, 0.0)])
    assert model.seconds("infer", 100.0) == pytest.approx(7.5)
    assert model.seconds("embed", UNKNOWN) > 0


@pytest.mark.parametrize("wrong", [None, "3", True, -1.0, float("nan"), float("inf"), [], {}])
def test_figures_that_are_none_are_passed_over(wrong: Any) -> None:
    for name in ("work", "seconds", "memory_mb"):
        run = {"work": 1.0, "seconds": 2.0, "memory_mb": 3.0, name: wrong}
        model = CostModel.learnt([StepResult(digest_bytes(b"k"), "infer", (), run)])
        assert (model.runs == 1, model.memory_mb("infer", 1.0) is not None) == (
            name == "memory_mb",
            name == "seconds",
        )
    assert CostModel.learnt([result("infer", None, 2.0)]).runs == 0


@pytest.mark.parametrize("number", [10**400, 1.7e308, float("inf"), float("nan"), -1.0, True, "1", None])
def test_a_run_that_cannot_have_been_teaches_nothing(number: Any) -> None:
    fields = ("work", "seconds", "memory_mb", "moving_seconds")
    runs = [
        StepResult(digest_bytes(b"1"), "train", (), {**dict.fromkeys(fields, 1.0), name: number}) for name in fields
    ]
    model = CostModel.learnt(runs)
    assert model.runs == 2
    assert 0 < model.seconds("train", 1.0) < 100
    assert model.memory_mb("train", 1.0) == pytest.approx(1.3)
