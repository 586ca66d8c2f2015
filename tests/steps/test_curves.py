"""Precision over recall, on boxes made by hand, and against the figures of the same oracle."""

from __future__ import annotations

from typing import Any

import coco_metrics
import curves
import numpy as np
import pytest
from test_metrics import BOX, Answer, answer, truth_of

FAR = [60.0, 150.0, 30.0, 40.0]


def rows_of(truth: dict[str, Any], answers: list[Answer]) -> list[dict[str, Any]]:
    return [
        row for image, one in zip(truth["images"], answers, strict=True) for row in coco_metrics.pixel_rows(image, *one)
    ]


def test_precision_falls_where_a_wrong_detection_stands_before_a_right_one() -> None:
    truth = truth_of([[(0, BOX)], [(0, BOX)]])
    answers = [answer((0, 0.9, BOX), (0, 0.8, FAR)), answer((0, 0.5004, BOX))]
    found = curves.precision_recall(coco_metrics.load_truth(truth), rows_of(truth, answers))["a"]
    assert found["boxes"] == 2
    assert found["precision"] == [1.0] * 51 + [round(2 / 3, 6)] * 50
    assert found["score"] == [0.9] * 51 + [0.5] * 50


def test_a_recall_that_is_never_reached_has_precision_0() -> None:
    truth = truth_of([[(0, BOX), (0, FAR)]])
    found = curves.precision_recall(coco_metrics.load_truth(truth), rows_of(truth, [answer((0, 0.9, BOX))]))["a"]
    assert found["precision"] == [1.0] * 51 + [0.0] * 50
    assert found["score"] == [0.9] * 51 + [0.0] * 50


def test_a_class_without_a_box_has_no_numbers() -> None:
    truth = truth_of([[(0, BOX)]])
    truth["annotations"].append({**truth["annotations"][0], "category_id": 2, "iscrowd": 1})
    found = curves.precision_recall(coco_metrics.load_truth(truth), rows_of(truth, [answer((1, 0.9, FAR))]))
    assert found["b"] == {"precision": [None] * 101, "score": [None] * 101, "boxes": 0}
    assert found["a"]["precision"] == [0.0] * 101


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_the_precisions_is_the_ap_of_the_oracle(seed: int) -> None:
    chance = np.random.RandomState(seed)

    def boxes(count: int) -> list[tuple[int, list[float]]]:
        return [(chance.randint(2), [*chance.uniform(0, 60, 2), *chance.uniform(20, 40, 2)]) for _ in range(count)]

    pictures = [boxes(4) for _ in range(15)]
    truth = truth_of(pictures)
    answers = [
        answer(*((label, chance.rand(), [side + chance.uniform(-8, 8) for side in box]) for label, box in picture))
        for picture in pictures
    ]
    oracle, rows = coco_metrics.load_truth(truth), rows_of(truth, answers)
    scored = coco_metrics.evaluate(oracle, rows)["per_class"]
    for name, curve in curves.precision_recall(oracle, rows).items():
        assert 0 < scored[name]["ap50"] < 1
        assert np.mean(curve["precision"]) == pytest.approx(scored[name]["ap50"], abs=1e-6)
        assert curve["boxes"] == scored[name]["boxes"]
        assert curve["precision"] == sorted(curve["precision"], reverse=True)
