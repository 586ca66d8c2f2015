from __future__ import annotations

from typing import Any

import pytest

from builder.manifest.model import Verify
from builder.release.budgets import misses

LATENCY = {"latency_ms": {"median": 4.0, "p90": 5.0}, "cpu": "a CPU", "threads": 2}


def metrics(**changes: Any) -> dict[str, Any]:
    stage = {"map": 0.4, "map50": 0.7, "ar100": 0.5}
    return {
        "stages": {"frozen": dict(stage), "tflite_tf1": dict(stage), "tflite_litert": dict(stage)},
        "constant_baseline": {"map": 0.1, "map50": 0.42},
        "degenerate": {"constant_answer": False},
        "size": 1_400_000,
        "quantization": {"type": "float32"},
        **changes,
    }


def budgets(**fields: Any) -> Verify:
    return Verify.model_validate({"min_map50": None, **fields})


def test_figures_within_every_budget_pass() -> None:
    within = budgets(min_map50=0.6, max_size=1_500_000, max_map_drop=0.005, max_latency_ms=4.0)
    assert misses(within, metrics(), LATENCY) == []


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ({"min_map50": 0.75}, ["0.700", "0.050", "0.420"]),
        ({"max_size": 1_000_000}, ["1,400,000", "400,000"]),
        ({"max_latency_ms": 2.5}, ["4.0", "1.5", "a CPU"]),
    ],
)
def test_a_missed_budget_says_by_how_much(budget: dict[str, Any], says: list[str]) -> None:
    (miss,) = misses(budgets(**budget), metrics(), LATENCY)
    assert next(iter(budget)) in miss
    for figure in says:
        assert figure in miss


def test_every_runtime_is_held_to_the_frozen_graph() -> None:
    figures = metrics()
    figures["stages"]["tflite_tf1"]["map"] = 0.38
    (miss,) = misses(budgets(max_map_drop=0.005), figures, LATENCY)
    assert "tflite_tf1" in miss
    assert "0.0200" in miss


def test_a_constant_answer_fails_whatever_its_map() -> None:
    assert misses(budgets(), metrics(degenerate={"constant_answer": True}), LATENCY)


def test_a_quantized_model_is_held_to_the_float_graph() -> None:
    figures = metrics(quantization={"type": "int8"})
    figures["stages"]["tflite_litert"]["map"] = 0.37
    assert misses(budgets(max_map_drop=0.005), figures, LATENCY) == []
    (miss,) = misses(budgets(max_quant_drop=0.02), figures, LATENCY)
    assert "int8 is 0.0300 mAP below" in miss
    # Quantization-aware training moves the frozen graph too: the float training's own graph counts.
    figures["stages"]["float"] = {"map": 0.38, "map50": 0.7, "ar100": 0.5}
    assert misses(budgets(max_quant_drop=0.02), figures, LATENCY) == []
