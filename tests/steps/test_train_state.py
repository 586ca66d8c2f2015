"""Learning rate, phases and targets of the trainer."""

import numpy as np
import phases
import pytest
import schedule
import targets


def test_learning_rate():
    cosine = {"schedule": "cosine", "base": 0.4, "warmup_steps": 10}
    rates = [schedule.learning_rate(cosine, step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.4 / 11) and rates[10] == 0.4
    assert rates[60] == pytest.approx(0.2) and 0 < rates[-1] < 0.001
    assert rates[10:] == sorted(rates[10:], reverse=True)
    constant = {"schedule": "constant", "base": 0.4, "warmup_steps": 0}
    assert {schedule.learning_rate(constant, step, 5) for step in range(5)} == {0.4}


def test_a_rate_that_falls_in_steps():
    drops = [{"step": 40, "factor": 0.1}, {"step": 80, "factor": 0.5}]
    steps = {"schedule": "steps", "base": 0.4, "warmup_steps": 3, "drops": drops}
    rates = [schedule.learning_rate(steps, step, 100) for step in range(100)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4]) and set(rates[3:40]) == {0.4}
    assert set(rates[40:80]) == {0.4 * 0.1} and set(rates[80:]) == {0.4 * 0.1 * 0.5}


def test_the_average_of_the_weights_follows_fast_at_first():
    assert schedule.averaging(0.999, 0) == pytest.approx(0.9)
    assert schedule.averaging(0.999, 10**6) == pytest.approx(0.001)
    shares = [schedule.averaging(0.99, step) for step in range(2000)]
    assert shares == sorted(shares, reverse=True)


def test_phases():
    model, train = {"input_shape": [300, 200, 3]}, {"steps": 100}
    assert phases.plan(model, train) == [phases.Phase([300, 200, 3], 0, 100)]
    train["progressive"] = {"input_shape": [150, 96, 3], "steps": 60}
    assert phases.plan(model, train) == [phases.Phase([150, 96, 3], 0, 60), phases.Phase([300, 200, 3], 60, 100)]


ANCHORS = np.array([[0, 0, 0.5, 0.5], [0, 0.5, 0.5, 1], [0.5, 0, 1, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]], np.float32)


def test_a_box_gets_anchors_above_half_and_its_best():
    boxes = np.array([[0, 0, 0.5, 0.45], [0.6, 0.6, 0.7, 0.7]], np.float32)
    classes, offsets = targets.assign(ANCHORS, boxes, np.array([2, 3], np.int32))
    assert classes.tolist() == [2, 0, 0, 3, 0]
    assert not offsets[[1, 2, 4]].any()


def test_offsets_decode_to_the_box():
    boxes = np.array([[0.05, 0.1, 0.45, 0.5]], np.float32)
    _, offsets = targets.assign(ANCHORS, boxes, np.array([1], np.int32))
    (ty, tx, th, tw), anchor = offsets[0] / [10, 10, 5, 5], ANCHORS[0]
    center = (anchor[:2] + anchor[2:]) / 2 + np.array([ty, tx]) * 0.5
    size = np.exp([th, tw]) * 0.5
    assert np.allclose(np.concatenate([center - size / 2, center + size / 2]), boxes[0], atol=1e-6)


def test_a_picture_with_no_box_is_all_background():
    classes, offsets = targets.assign(ANCHORS, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    assert not classes.any() and not offsets.any()


def test_two_boxes_that_want_one_anchor_leave_it_to_the_first():
    boxes = np.array([[0.1, 0.1, 0.2, 0.2], [0.3, 0.3, 0.4, 0.4]], np.float32)
    classes, _ = targets.assign(ANCHORS[:4], boxes, np.array([1, 2], np.int32))
    assert classes.tolist() == [1, 0, 0, 0]


def test_anchors_on_an_ignored_box_are_neither_object_nor_background():
    # The ignored upper half has IoU 0.5 with both upper quarters and with the whole; the object is the first quarter.
    boxes = np.array([[0, 0, 0.5, 1], [0, 0, 0.5, 0.5]], np.float32)
    classes, _ = targets.assign(ANCHORS, boxes, np.array([-1, 3], np.int32))
    assert classes.tolist() == [3, -1, 0, 0, -1]
    classes, offsets = targets.assign(ANCHORS, boxes, np.array([-1, -1], np.int32))
    assert classes.tolist() == [-1, -1, 0, 0, -1]
    assert not offsets.any()


def test_an_ignored_box_claims_no_anchor_below_half():
    small = np.array([[0.1, 0.1, 0.2, 0.2]], np.float32)
    classes, _ = targets.assign(ANCHORS, small, np.array([-1], np.int32))
    assert not classes.any()
