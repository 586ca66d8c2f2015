"""Looks at a training: when, what they choose, when they end it."""

import numpy as np
import pytest
import records
import validation
import watch
from contract import Failure
from PIL import Image
from records import Record

SIZE = (80, 60)
BOX = [0.25, 0.25, 0.75, 0.75]


def held(count=4):
    found = [Record(b"", np.array([BOX], np.float32), np.array([1], np.int32), 10 + i) for i in range(count)]
    pictures = [Image.new("RGB", SIZE, (200, 60 * i % 255, 0)) for i in range(count)]
    return watch.Held(found, pictures, validation.ground_truth(found, pictures, ["thing"]), "four")


class Finds:
    """An evaluator whose weights say how far its boxes are from the truth."""

    def answers(self, weights, records, pictures):
        place = float(weights["off"])
        return [
            (np.array([np.array(BOX) + place * (1 + 0.1 * i)]), np.array([0.9 - 0.2 * i]), np.array([0]))
            for i in range(len(records))
        ]


def params(**changes):
    return {
        "steps": 100,
        "evaluate_every": 10,
        "validation": {"share": 0.2, "keep": "best", "patience": None},
        **changes,
    }


def look(watched, step, off, final=True):
    return watched.look(step, {"off": np.float32(off)}, Finds(), final)


def test_there_are_eight_looks_unless_the_manifest_says_otherwise():
    assert watch.interval({"steps": 4000, "evaluate_every": None}) == 500
    assert watch.interval({"steps": 90, "evaluate_every": None}) == 50
    assert watch.interval({"steps": 4000, "evaluate_every": 7}) == 7
    watched = watch.Watch(params(evaluate_every=30), ["thing"], held())
    assert [step for step in range(1, 101) if watched.due(step)] == [30, 60, 90, 100]


def test_the_best_weights_are_kept_and_said_to_be_of_their_step():
    watched = watch.Watch(params(), ["thing"], held())
    assert look(watched, 10, 0.2).map < 0.2
    assert look(watched, 20, 0.0).map == pytest.approx(1.0)
    look(watched, 30, 0.1)
    assert float(watched.best["off"]) == 0.0 and watched.best_step() == 20


def test_of_equal_looks_the_first_is_kept():
    watched = watch.Watch(params(), ["thing"], held())
    for step in (10, 20):
        watched.look(step, {"off": np.float32(0), "step": np.float32(step)}, Finds(), True)
    assert float(watched.best["step"]) == 10 and watched.best_step() == 10


def test_looks_at_a_smaller_input_size_choose_nothing():
    watched = watch.Watch(params(), ["thing"], held())
    look(watched, 10, 0.0, final=False)
    assert watched.best is None
    look(watched, 20, 0.15)
    assert watched.best_step() == 20


def test_the_evaluation_split_chooses_nothing():
    watched = watch.Watch(params(validation=None), ["thing"], held())
    look(watched, 10, 0.0)
    look(watched, 20, 0.2)
    assert watched.best is None and watched.best_step() is None and not watched.enough()


def test_patience_counts_looks_since_the_best():
    watched = watch.Watch(params(validation={"share": 0.2, "keep": "last", "patience": 2}), ["thing"], held())
    seen = []
    for step, off in ((10, 0.1), (20, 0.05), (30, 0.1), (40, 0.1)):
        look(watched, step, off)
        seen.append(watched.enough())
    assert seen == [False, False, False, True] and watched.best is None


def test_a_watch_goes_on_where_a_checkpoint_left_it():
    one = watch.Watch(params(), ["thing"], held())
    look(one, 10, 0.1)
    look(one, 20, 0.0)
    # A checkpoint holds looks as plain lists.
    other = watch.Watch(params(), ["thing"], held(), [list(seen) for seen in one.looks], one.best)
    for watched in (one, other):
        look(watched, 30, 0.1)
    assert other.looks == one.looks and other.best_step() == 20
    assert other.picture().tobytes() == one.picture().tobytes()


def test_a_network_that_answers_the_same_for_every_picture_is_stopped_past_half():
    class Constant:
        def answers(self, weights, records, pictures):
            return [(np.array([BOX]), np.array([0.3]), np.array([0])) for _ in records]

    moved = held(8)
    for index, row in enumerate(moved.truth["annotations"]):
        row["bbox"] = [5 * index, 2, 20, 20]
    watched = watch.Watch(params(), ["thing"], moved)
    for step in (10, 20, 30, 40, 50):
        assert watched.look(step, {}, Constant(), True).constant
    with pytest.raises(Failure) as failure:
        watched.look(60, {}, Constant(), True)
    assert failure.value.code == "dead-output" and failure.value.help


def test_two_pictures_may_well_be_alike():
    watched = watch.Watch(params(), ["thing"], held(2))
    assert look(watched, 60, 0.0).constant is None


def test_the_picture_of_many_looks_has_the_last_of_them_and_a_bounded_size():
    watched = watch.Watch(params(), ["thing"], held())
    for step in range(1, 31):
        look(watched, step, 0.01 * (step % 5))
    assert watched.picture().height < 3000
    alone = watch.Watch(params(), ["thing"], held(), watched.looks[-1:])
    assert watched.picture(last=True).tobytes() == alone.picture().tobytes()


def test_held_out_pictures_are_a_seeded_choice():
    every = [Record(b"", np.zeros((0, 4), np.float32), np.zeros(0, np.int32), i) for i in range(20)]
    kept, out = validation.split(every, 0.25, 3)
    assert len(kept) == 15 and len(out) == 5
    assert sorted(one.identity for one in kept + out) == list(range(20))
    again, other = validation.split(every, 0.25, 3)[1], validation.split(every, 0.25, 4)[1]
    numbers = [one.identity for one in out]
    assert [one.identity for one in again] == numbers != [one.identity for one in other]
    with pytest.raises(Failure) as failure:
        validation.split(every[:1], 0.25, 3)
    assert failure.value.code == "dataset-empty-split"


def test_ground_truth_leaves_out_what_is_ignored():
    boxes = np.array([BOX, [0, 0, 0.5, 1]], np.float32)
    found = [Record(b"", boxes, np.array([2, records.IGNORED], np.int32), 7)]
    truth = validation.ground_truth(found, [Image.new("RGB", SIZE)], ["a", "b"])
    assert truth["images"] == [{"id": 7, "width": 80, "height": 60}]
    assert truth["annotations"] == [{"image_id": 7, "category_id": 2, "bbox": [20.0, 15.0, 40.0, 30.0]}]
    with pytest.raises(Failure) as failure:
        validation.ground_truth(
            [found[0]._replace(labels=np.full(2, records.IGNORED))], [Image.new("RGB", SIZE)], ["a"]
        )
    assert failure.value.code == "dataset-empty"
