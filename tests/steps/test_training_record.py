"""training.json: curves thinned, and nothing told that a training did not leave."""

from __future__ import annotations

import itertools

import pytest
import training_record

SUMMARY = {"steps": 3, "weights_of_step": 2, "eval": None}


@pytest.mark.parametrize("count", [1, 2, 249, 250, 251, 499, 10_000])
def test_a_curve_keeps_its_ends_and_its_order_and_is_short(count: int) -> None:
    points = [[step, step / 7] for step in range(1, count + 1)]
    kept = training_record.thinned(points)
    assert len(kept) == min(count, training_record.POINTS)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    steps = [step for step, _ in kept]
    gaps = {later - earlier for earlier, later in itertools.pairwise(steps)}
    assert all(point in points for point in kept)
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)


def test_looks_are_told_where_training_looked() -> None:
    rows = [
        {"step": 1, "loss": 3.1383981704711914, "learning_rate": 5.882352941176471e-05},
        {"step": 2, "loss": 2.0, "learning_rate": 0.001, "map": 0.25, "map50": 0.5},
        {"step": 3, "loss": 1.0, "learning_rate": 0.0},
    ]
    assert training_record.document([("train", SUMMARY, rows)]) == {
        "format": 1,
        "stages": [
            {
                "step": "train",
                "steps": 3,
                "weights_of_step": 2,
                "curves": {
                    "loss": [[1, 3.1384], [2, 2.0], [3, 1.0]],
                    "learning_rate": [[1, 5.88235e-05], [2, 0.001], [3, 0.0]],
                    "map": [[2, 0.25]],
                    "map50": [[2, 0.5]],
                },
            }
        ],
    }


def test_trainings_stand_in_their_order() -> None:
    rows = [{"step": 1, "loss": 1.0}]
    stages = training_record.document([("train", SUMMARY, rows), ("qat", {**SUMMARY, "steps": 1}, rows)])["stages"]
    assert [(stage["step"], stage["steps"]) for stage in stages] == [("train", 3), ("qat", 1)]
