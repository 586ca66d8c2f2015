"""Batches are a pure function of (seed, k), whatever the timing; augmentation keeps boxes on their objects."""

import io
import threading
import time

import augment
import batches
import numpy as np
import pytest
import records
from PIL import Image

NAMES = augment.NAMES


def record(identity, size=(40, 60)):
    """A black picture with one white rectangle, and its box."""
    height, width = size
    pixels = np.zeros((height, width, 3), np.uint8)
    top, left, bottom, right = 10 + identity % 5, 12, 30, 36
    pixels[top:bottom, left:right] = 255
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    box = np.array([[top / height, left / width, bottom / height, right / width]], np.float32)
    return records.Record(out.getvalue(), box, np.array([1], np.int32), identity)


RECORDS = [record(identity) for identity in range(1, 8)]


def stream(seed=1, augmentation=NAMES, kept=2 << 30):
    return batches.Stream(RECORDS, records.Pictures(RECORDS, kept), 4, seed, augmentation)


def same(one, other):
    return (
        np.array_equal(one.images, other.images)
        and all(np.array_equal(a, b) for a, b in zip(one.boxes, other.boxes, strict=True))
        and all(np.array_equal(a, b) for a, b in zip(one.labels, other.labels, strict=True))
    )


def test_a_batch_depends_on_nothing_but_seed_and_number():
    forward = stream()
    in_order = [forward.batch(number, (32, 48)) for number in range(5)]
    backward = stream(kept=0)
    for number in reversed(range(5)):
        assert same(backward.batch(number, (32, 48)), in_order[number])
    assert not same(stream(seed=2).batch(0, (32, 48)), in_order[0])
    assert not same(in_order[0], in_order[1])


def test_every_epoch_shows_every_picture_once():
    plain = stream(augmentation=())
    seen = [float(box[0, 0]) for number in range(7) for box in plain.batch(number, (32, 48)).boxes]
    expected = sorted(float(one.boxes[0, 0]) for one in RECORDS)
    for epoch in range(4):
        assert sorted(seen[epoch * 7 : epoch * 7 + 7]) == expected
    assert seen[:7] != seen[7:14]


def test_without_augmentation_a_view_is_the_whole_picture_resized():
    batch = stream(augmentation=()).batch(0, (20, 30))
    assert batch.images.shape == (4, 20, 30, 3) and batch.images.dtype == np.uint8
    index = next(i for i, one in enumerate(RECORDS) if np.array_equal(one.boxes, batch.boxes[0]))
    expected = records.decode(RECORDS[index].encoded).resize((30, 20), Image.BILINEAR)
    assert np.array_equal(batch.images[0], np.asarray(expected)) or any(
        np.array_equal(batch.images[0], np.asarray(records.decode(one.encoded).resize((30, 20), Image.BILINEAR)))
        for one in RECORDS
    )


@pytest.mark.parametrize(
    ("names", "apart"),
    [
        (["horizontal_flip"], 2.5),
        (["random_crop"], 2.5),
        (["random_expand"], 2.5),
        (list(NAMES[:3]), 2.5),
        # Its windows are as small as a tenth of the picture, so that an edge is a few pixels wide.
        (["ssd_random_crop"], 4.0),
    ],
)
def test_boxes_follow_the_pixels(names, apart):
    """The white rectangle of each view lies where its box says, to two pixels."""
    moved = 0
    for place in range(60):
        one = RECORDS[place % len(RECORDS)]
        picture = records.decode(one.encoded)
        view, boxes, labels = augment.apply(
            picture, one.boxes, one.labels, (80, 120), names, batches.generator(3, 1, place)
        )
        assert len(boxes) == len(labels)
        if not len(boxes):
            continue
        rows, columns = np.nonzero(view[:, :, 0] > 190)
        found = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])
        assert np.abs(found - boxes[0] * [80, 120, 80, 120]).max() <= apart
        moved += not np.allclose(boxes, one.boxes, atol=1e-3)
    assert moved


def test_boxes_whose_centre_is_cut_off_are_dropped_and_others_clipped():
    boxes = np.array([[0.0, 0.0, 0.2, 0.2], [0.4, 0.4, 0.8, 0.8]], np.float32)
    window = (0.5, 0.5, 1.0, 1.0)
    assert augment.centred(boxes, window).tolist() == [False, True]
    assert np.allclose(augment.moved(boxes[1:], window), [[0, 0, 0.6, 0.6]])


def test_a_picture_without_boxes_can_be_augmented():
    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    picture = records.decode(RECORDS[0].encoded)
    for place in range(20):
        view, boxes, labels = augment.apply(picture, *empty, (32, 32), NAMES, batches.generator(1, 1, place))
        assert view.shape == (32, 32, 3) and boxes.shape == (0, 4) and labels.shape == (0,)


def test_prefetch_keeps_order_and_reports_errors():
    def slow(number):
        time.sleep(0.002 * (number % 3))
        return number * 10

    assert list(batches.prefetch(slow, range(20))) == [number * 10 for number in range(20)]

    def broken(number):
        if number == 2:
            raise ValueError("no third one")
        return number

    got = []
    with pytest.raises(ValueError, match="no third one"):
        for value in batches.prefetch(broken, range(5)):
            got.append(value)
    assert got == [0, 1]


def test_leaving_early_stops_the_thread():
    before = threading.active_count()
    making = batches.prefetch(lambda number: number, range(10**6))
    assert next(making) == 0
    making.close()
    assert threading.active_count() == before


def test_crops_are_chosen_for_the_boxes_that_are_learnt():
    """With an ignored box beside it, an object is cropped to as it is alone, and the ignored box comes along."""
    one = RECORDS[0]
    picture = records.decode(one.encoded)
    crowd = np.array([[0.0, 0.7, 0.4, 1.0]], np.float32)
    both, labels = np.concatenate([crowd, one.boxes]), np.array([records.IGNORED, 1], np.int32)
    seen = 0
    for place in range(40):
        arguments = (32, 32), ["random_crop"], batches.generator(5, 1, place)
        view, boxes, kept = augment.apply(picture, both, labels, *arguments)
        arguments = (32, 32), ["random_crop"], batches.generator(5, 1, place)
        alone, own, _ = augment.apply(picture, one.boxes, one.labels, *arguments)
        assert np.array_equal(view, alone) and np.array_equal(boxes[kept == 1], own)
        seen += records.IGNORED in kept
    assert seen
