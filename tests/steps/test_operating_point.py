"""The advised score: where the best F1 is, on boxes made by hand."""

from __future__ import annotations

import coco_metrics
import operating_point
import pytest
from test_metrics import BOX, Answer, answer, truth_of

FAR = [60.0, 150.0, 30.0, 40.0]


def best(answers: list[Answer]) -> dict[str, float]:
    truth = truth_of([[(0, BOX)]] * len(answers))
    rows = [
        row for image, one in zip(truth["images"], answers, strict=True) for row in coco_metrics.pixel_rows(image, *one)
    ]
    return operating_point.best_f1(coco_metrics.load_truth(truth), rows)


def test_it_lies_at_the_last_right_detection_before_the_wrong_ones() -> None:
    found = best(
        [
            answer((0, 0.41239, BOX), (0, 0.1, FAR)),
            answer((0, 0.3127, BOX), (0, 0.2, FAR)),
            answer((0, 0.05, FAR), (0, 0.04, FAR)),
        ]
    )
    assert found == {"score": 0.312, "precision": 1.0, "recall": pytest.approx(2 / 3, abs=1e-5), "f1": 0.8}


def test_equal_scores_are_shown_together() -> None:
    # The one right box of three has the score of a wrong one: it cannot be had alone.
    found = best([answer((0, 0.5, BOX), (0, 0.5, FAR)), answer((0, 0.1, FAR)), answer((0, 0.1, FAR))])
    assert found["precision"] == 0.5
    assert found["score"] == 0.5


@pytest.mark.parametrize("answers", [[answer((0, 0.9, FAR))], [answer()]])
def test_without_a_right_detection_nothing_is_worth_showing(answers: list[Answer]) -> None:
    assert best(answers) == {"score": 1.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
