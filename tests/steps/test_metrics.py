"""The oracle, the constant baseline, the verdict on constant answers and parity, on boxes made by hand."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import baseline
import coco_metrics
import contract
import degenerate
import geometry
import numpy as np
import parity
import pytest
from pycocotools.cocoeval import COCOeval

Answer = tuple[np.ndarray, np.ndarray, np.ndarray]


def truth_of(boxes: list[list[tuple[int, list[float]]]], classes: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    """COCO ground truth of 100 x 200 (width x height) pictures; boxes (class, xywh in pixels) a picture."""
    rows = [
        {"id": 0, "image_id": image, "category_id": label + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for image, found in enumerate(boxes, 1)
        for label, box in found
    ]
    for number, row in enumerate(rows):
        row["id"] = number
    return {
        "images": [
            {"id": image, "file_name": f"{image}.jpg", "width": 100, "height": 200}
            for image in range(1, len(boxes) + 1)
        ],
        "annotations": rows,
        "categories": [{"id": index, "name": name} for index, name in enumerate(classes, 1)],
    }


def answer(*rows: tuple[int, float, list[float]]) -> Answer:
    """(class, score, xywh in pixels of a 100 x 200 picture) as a stage's answer."""
    boxes = np.array([[y / 200, x / 100, (y + h) / 200, (x + w) / 100] for _, _, (x, y, w, h) in rows], np.float32)
    return (
        boxes.reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([label for label, _, _ in rows], np.int32),
    )


def evaluate(truth: dict[str, Any], answers: list[Answer]) -> dict[str, Any]:
    rows = [
        row for image, one in zip(truth["images"], answers, strict=True) for row in coco_metrics.pixel_rows(image, *one)
    ]
    return coco_metrics.evaluate(coco_metrics.load_truth(truth), rows)


BOX = [10.0, 20.0, 40.0, 80.0]


def test_perfect_answers_score_one(capsys: pytest.CaptureFixture[str]) -> None:
    truth = truth_of([[(0, BOX)], [(1, BOX), (0, [60, 100, 30, 50])]])
    answers = [answer((0, 0.9, BOX)), answer((1, 0.8, BOX), (0, 0.7, [60, 100, 30, 50]))]
    found = evaluate(truth, answers)
    assert [found[key] for key in ("map", "map50", "map75", "ar10", "ar100")] == [1.0] * 5
    assert found["ar1"] == 1.0
    assert found["per_class"]["a"] == {"ap": 1.0, "ap50": 1.0, "ar100": 1.0, "boxes": 2}
    assert capsys.readouterr().out == ""


def test_known_precision_recall() -> None:
    """Hit, miss, hit in the order of scores: precision 1 up to recall 1/2, then 2/3. 51 and 50 of 101 points."""
    truth = truth_of([[(0, BOX)], [(0, BOX)]])
    answers = [answer((0, 0.9, BOX), (0, 0.8, [60, 120, 20, 20])), answer((0, 0.7, BOX))]
    assert evaluate(truth, answers)["map50"] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-6)


def test_overlap_thresholds() -> None:
    """A box of IoU 0.8 counts at 0.50 ... 0.80 (of ten thresholds up to 0.95), not above."""
    truth = truth_of([[(0, [0, 0, 50, 100])]])
    found = evaluate(truth, [answer((0, 0.9, [0, 0, 40, 100]))])
    assert found["map50"] == found["map75"] == 1.0
    assert found["map"] in (pytest.approx(0.6), pytest.approx(0.7))  # 0.8 itself is on the edge in floats


def test_a_class_without_boxes_is_left_out_of_the_mean() -> None:
    truth = truth_of([[(0, BOX)]])
    found = evaluate(truth, [answer((0, 0.9, BOX), (1, 0.99, BOX))])
    assert found["map"] == 1.0
    assert list(found["per_class"]) == ["a"]


def test_no_detections_score_nothing_and_no_boxes_are_a_failure() -> None:
    truth = truth_of([[(0, BOX)], []])
    found = evaluate(truth, [answer(), answer()])
    assert found["map"] == found["map50"] == found["ar100"] == 0.0
    with pytest.raises(contract.Failure) as caught:
        coco_metrics.load_truth(truth_of([[]]))
    assert caught.value.code == "dataset-empty"


def test_figures_equal_the_librarys_own_summary() -> None:
    state = np.random.RandomState(3)
    boxes = [
        [(int(state.randint(2)), [*state.uniform(0, 50, 2), *state.uniform(10, 50, 2)]) for _ in range(3)]
        for _ in range(12)
    ]
    truth = truth_of(boxes)
    answers = [
        answer(*((label, float(state.uniform()), list(box + state.uniform(-6, 6, 4))) for label, box in found))
        for found in ([(label, np.array(box)) for label, box in picture] for picture in boxes)
    ]
    ours = evaluate(truth, answers)
    rows = [
        row for image, one in zip(truth["images"], answers, strict=True) for row in coco_metrics.pixel_rows(image, *one)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        oracle = coco_metrics.load_truth(truth)
        judge = COCOeval(oracle, oracle.loadRes(rows), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    stats = judge.stats
    theirs = dict(zip(("map", "map50", "map75"), stats[:3], strict=True))
    theirs.update(zip(("ar1", "ar10", "ar100"), stats[6:9], strict=True))
    assert 0.1 < ours["map"] < 0.9
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs, abs=1e-6)


def test_baseline_finds_the_box_that_fits_all() -> None:
    truth = truth_of([[(0, [10 + shift, 20, 40, 80])] for shift in range(5)] + [[(1, [50, 100, 40, 90])]])
    found = baseline.constant_answer(truth)
    assert found["per_class"]["a"]["ap50"] > 0.7
    assert found["per_class"]["b"]["ap50"] < 0.3
    (first, *_) = found["boxes"]["a"]
    assert geometry.iou_matrix([first], [[0.1, 0.12, 0.5, 0.52]])[0, 0] > 0.9
    assert len(found["boxes"]["a"]) == 1
    assert found["several_boxes"]["map50"] >= found["map50"]
    assert found == baseline.constant_answer(truth)


def test_baseline_is_low_where_objects_lie_anywhere() -> None:
    state = np.random.RandomState(0)
    truth = truth_of([[(0, [*state.uniform(0, 80, 2), 15.0, 15.0])] for _ in range(40)])
    assert baseline.constant_answer(truth)["map50"] < 0.1


def test_several_constant_boxes_can_do_better_than_one() -> None:
    truth = truth_of([[(0, BOX if image % 3 else [60, 120, 30, 60])] for image in range(12)])
    found = baseline.constant_answer(truth)
    assert len(found["several_boxes"]["boxes"]["a"]) == 2
    assert found["several_boxes"]["map50"] > found["map50"] + 0.05


def test_baseline_copes_with_one_box_and_with_a_class_that_is_nowhere() -> None:
    found = baseline.constant_answer(truth_of([[(1, BOX)]]))
    assert found["map50"] == 1.0
    assert list(found["boxes"]) == ["b"]


def jittered(count: int, boxes: float, scores: float, base: float = 0.5) -> list[Answer]:
    state = np.random.RandomState(1)
    return [
        answer((0, base + state.uniform(-scores, scores), list(np.array(BOX) + state.uniform(-boxes, boxes, 4))))
        for _ in range(count)
    ]


def test_one_answer_for_every_picture_is_constant() -> None:
    for answers in (jittered(40, 0, 0), jittered(40, 1.0, 0.02), jittered(40, 0.5, 0.0, base=0.004)):
        verdict = degenerate.judge(answers)
        assert verdict["constant_answer"]
        assert verdict["reason"]
        assert verdict["mean_pairwise_iou"] > 0.8


def test_a_box_that_never_moves_is_constant_though_its_score_varies() -> None:
    answers = jittered(40, 0.1, 0.45)
    moving = truth_of([[(0, [x, 20, 30, 60])] for x in range(0, 40)])
    assert degenerate.judge(answers, moving)["constant_answer"]
    still = truth_of([[(0, BOX)] for _ in range(40)])
    assert not degenerate.judge(answers, still)["constant_answer"]


def test_large_central_objects_found_where_they_are_are_not_constant() -> None:
    """Boxes as of one animal in the middle of the picture: much overlap, confident, yet each its own."""
    state = np.random.RandomState(2)
    answers = []
    for _ in range(40):
        left, top = state.uniform(2, 25), state.uniform(5, 50)
        box = [left, top, state.uniform(60, 98) - left, state.uniform(130, 195) - top]
        answers.append(answer((0, state.uniform(0.9, 0.99), box)))
    verdict = degenerate.judge(answers)
    assert verdict["mean_pairwise_iou"] > 0.4
    assert not verdict["constant_answer"]


def test_no_detections_at_all_are_a_constant_answer() -> None:
    verdict = degenerate.judge([answer(), answer(), answer()])
    assert verdict["constant_answer"]
    assert verdict["without_detections"] == 3
    mixed = [answer(), answer((0, 0.9, BOX)), answer((0, 0.9, [50, 100, 30, 60])), answer((1, 0.9, BOX))]
    assert not degenerate.judge(mixed)["constant_answer"]


def test_one_picture_tells_nothing() -> None:
    assert not degenerate.judge([answer((0, 0.9, BOX))])["constant_answer"]


def test_parity_of_equal_and_of_shifted_answers() -> None:
    first = [answer((0, 0.9, BOX), (1, 0.5, [50, 100, 40, 90])), answer()]
    same = parity.compare(first, first)
    assert same["matched"] == 2
    assert same["unmatched"] == 0
    assert same["min_iou"] == 1.0
    assert same["max_box_diff"] == same["max_score_diff"] == 0.0
    second = [answer((0, 0.88, [12, 20, 40, 80]), (0, 0.5, [50, 100, 40, 90]), (0, 0.001, BOX)), answer()]
    moved = parity.compare(first, second)
    assert moved["matched"] == 1
    assert moved["unmatched"] == 2  # the second box has another class on either side
    assert moved["max_box_diff"] == pytest.approx(0.02, abs=1e-6)
    assert moved["max_score_diff"] == pytest.approx(0.02, abs=1e-6)
    assert moved["min_iou"] == round(38 / 42, 4)
    assert parity.compare([answer()], [answer()])["max_box_diff"] is None


def test_parity_looks_at_the_part_of_a_box_that_lies_in_the_picture() -> None:
    beyond, cut = answer((0, 0.9, [-20, 20, 60, 80])), answer((0, 0.9, [0, 20, 40, 80]))
    assert parity.compare([beyond], [cut])["min_iou"] == 1.0


def test_parity_of_raw_heads() -> None:
    boxes, scores = np.zeros((2, 5, 4), np.float32), np.zeros((2, 5, 3), np.float32)
    found = parity.heads((boxes, scores), (boxes + 0.25, scores))
    assert found == {
        "pictures": 2,
        "max_raw_box_diff": 0.25,
        "mean_raw_box_diff": 0.25,
        "max_raw_score_diff": 0.0,
        "mean_raw_score_diff": 0.0,
    }
    assert parity.heads((boxes, scores), (boxes[:1], scores)) is None
