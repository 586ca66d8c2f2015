"""Which detection is set against which box, on boxes made by hand."""

from __future__ import annotations

import contextlib
import io

import coco_metrics
import confusion
import numpy as np
from pycocotools.cocoeval import COCOeval

LEFT, RIGHT, FAR = [0.1, 0.1, 0.3, 0.3], [0.1, 0.6, 0.3, 0.8], [0.7, 0.1, 0.9, 0.3]
Box = list[float]


def annotated(*rows: tuple[int, Box], ignored: tuple[Box, ...] = ()) -> confusion.Annotated:
    boxes = [box for _, box in rows] + list(ignored)
    return confusion.Annotated(
        np.array(boxes).reshape(-1, 4),
        np.array([label for label, _ in rows] + [0] * len(ignored), np.int64),
        np.array([False] * len(rows) + [True] * len(ignored)),
    )


def found(*rows: tuple[int, float, Box]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([box for _, _, box in rows]).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([label for label, _, _ in rows], np.int32),
    )


def moved(box: Box, right: float) -> Box:
    return [box[0], box[1] + right, box[2], box[3] + right]


def test_right_wrong_missed_and_extra() -> None:
    one = confusion.outcome(
        annotated((0, LEFT), (1, RIGHT), (1, FAR)),
        found((0, 0.9, LEFT), (0, 0.8, RIGHT), (1, 0.7, [0.4, 0.4, 0.6, 0.6])),
    )
    assert one == ([(0, 0), (1, 0)], [1], [1])
    assert confusion.counts([one], 2) == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert confusion.worst([7], [one], 8) == [{"id": 7, "missed": 1, "wrong": 1, "extra": 1}]


def test_the_best_score_chooses_first_and_a_box_is_taken_once() -> None:
    # The worse detection lies better; it comes second, and finds its box taken.
    one = confusion.outcome(annotated((0, LEFT)), found((1, 0.5, LEFT), (0, 0.6, moved(LEFT, 0.04))))
    assert one == ([(0, 0)], [], [1])


def test_the_box_that_overlaps_most_is_taken_whatever_its_class() -> None:
    one = confusion.outcome(annotated((0, moved(LEFT, 0.05)), (1, LEFT)), found((0, 0.9, moved(LEFT, 0.01))))
    assert one == ([(1, 0)], [0], [])


def test_of_boxes_in_one_place_that_of_the_own_class_is_taken() -> None:
    one = confusion.outcome(annotated((0, LEFT), (1, LEFT)), found((1, 0.9, LEFT), (0, 0.8, LEFT)))
    assert sorted(one.pairs) == [(0, 0), (1, 1)]
    assert not one.missed and not one.extra


def test_an_overlap_of_a_half_is_enough_and_less_is_not() -> None:
    whole, half, less = [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.25], [0.0, 0.0, 0.5, 0.24]
    assert confusion.outcome(annotated((0, whole)), found((0, 0.9, half))).pairs == [(0, 0)]
    assert confusion.outcome(annotated((0, whole)), found((0, 0.9, less))) == ([], [0], [0])


def test_what_is_ignored_counts_neither_way() -> None:
    crowd = [0.0, 0.0, 0.5, 1.0]
    one = confusion.outcome(
        annotated((1, LEFT), ignored=(crowd, FAR)),
        # In the crowd twice, for most of it; on an annotated box within the crowd; beside everything.
        found(
            (0, 0.9, [0.2, 0.5, 0.4, 0.6]), (1, 0.8, [0.3, 0.2, 0.6, 0.3]), (1, 0.7, LEFT), (0, 0.6, moved(FAR, 0.5))
        ),
    )
    assert one == ([(1, 1)], [], [0])
    # Less than half of it lies in the crowd.
    assert confusion.outcome(annotated(ignored=(crowd,)), found((0, 0.9, [0.4, 0.2, 0.7, 0.3]))) == ([], [], [0])


def test_nothing_annotated_and_nothing_found() -> None:
    assert confusion.outcome(annotated(), found()) == ([], [], [])
    assert confusion.outcome(annotated((1, LEFT)), found()) == ([], [1], [])
    assert confusion.outcome(annotated(), found((1, 0.9, LEFT))) == ([], [], [1])
    assert confusion.counts([], 2) == [[0, 0, 0]] * 3


def test_the_sum_of_a_row_is_how_many_boxes_are_annotated() -> None:
    chance = np.random.RandomState(3)
    outcomes, boxes = [], np.zeros(3, np.int64)
    for _ in range(40):
        corners = chance.uniform(0, 0.6, (6, 2))
        places = np.concatenate([corners, corners + chance.uniform(0.1, 0.4, (6, 2))], axis=1)
        labels, ignored = chance.randint(3, size=6), chance.rand(6) < 0.2
        boxes += np.bincount(labels[~ignored], minlength=3)
        shifted = places + chance.uniform(-0.05, 0.05, (6, 4))
        outcomes.append(
            confusion.outcome(
                confusion.Annotated(places, labels, ignored), (shifted, chance.rand(6), chance.randint(3, size=6))
            )
        )
    table = np.array(confusion.counts(outcomes, 3))
    assert table[:3].sum(axis=1).tolist() == boxes.tolist()
    assert table[3, 3] == 0
    listed = confusion.worst(list(range(40)), outcomes, 100)
    assert sum(row["missed"] for row in listed) == table[:3, 3].sum()
    assert sum(row["extra"] for row in listed) == table[3].sum()
    assert sum(row["wrong"] for row in listed) == table[:3, :3].sum() - np.trace(table[:3, :3])


def test_matches_are_those_of_cocoeval_where_it_is_told_to_leave_classes_aside() -> None:
    chance = np.random.RandomState(5)
    pictures = []
    for _ in range(30):
        corners = chance.uniform(0, 60, (8, 2))
        boxes = np.concatenate([corners, corners + chance.uniform(20, 40, (8, 2))], axis=1)
        shifted = np.clip(boxes + chance.uniform(-7, 7, (8, 4)), 0, 100)
        pictures.append((confusion.Annotated(boxes, chance.randint(2, size=8), chance.rand(8) < 0.3),
                         (shifted, chance.rand(8), chance.randint(2, size=8))))  # fmt: skip
    truth = {
        "images": [{"id": number, "width": 100, "height": 100} for number in range(1, 31)],
        "annotations": [
            {"image_id": number, "category_id": int(label) + 1, "bbox": xywh(box), "iscrowd": int(ignored)}
            for number, (marked, _) in enumerate(pictures, 1)
            for box, label, ignored in zip(*marked, strict=True)
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }
    rows = [
        {"image_id": number, "category_id": int(label) + 1, "bbox": xywh(box), "score": float(score)}
        for number, (_, answer) in enumerate(pictures, 1)
        for box, score, label in zip(*answer, strict=True)
    ]
    oracle = coco_metrics.load_truth(truth)
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(oracle, oracle.loadRes(rows), "bbox")
        judge.params.useCats = 0
        judge.params.iouThrs = np.array([confusion.LEAST_IOU])
        judge.evaluate()
    seen = {found["image_id"]: found for found in judge.evalImgs if found and found["aRng"] == judge.params.areaRng[0]}
    outcomes = [confusion.outcome(*picture) for picture in pictures]
    for number, one in enumerate(outcomes, 1):
        matched, ignored = seen[number]["dtMatches"][0] > 0, seen[number]["dtIgnore"][0] > 0
        assert len(one.pairs) == (matched & ~ignored).sum()
        assert len(one.extra) == (~matched & ~ignored).sum()
        assert len(one.missed) == ((seen[number]["gtMatches"][0] == 0) & (seen[number]["gtIgnore"] == 0)).sum()
    assert all(sum(len(part[place]) for part in outcomes) > 10 for place in range(3))
    assert any((seen[number]["dtIgnore"][0] > 0).any() for number in seen)


def xywh(box: np.ndarray) -> Box:
    top, left, bottom, right = (float(side) for side in box)
    return [left, top, right - left, bottom - top]


def test_the_worst_come_first_then_the_lower_id_and_none_without_a_mistake() -> None:
    good, one, two = confusion.Outcome([(0, 0)], [], []), ([(0, 1)], [], []), ([], [0], [1])
    outcomes = [confusion.Outcome(*row) for row in (one, two, good, one, two)]
    listed = confusion.worst([9, 8, 5, 3, 2], outcomes, 8)
    assert [row["id"] for row in listed] == [2, 8, 3, 9]
    assert confusion.worst([9, 8, 5, 3, 2], outcomes, 2) == listed[:2]
