"""The drawings: the same bytes again, boxes that fit, shapes that can be told from the ground."""

from __future__ import annotations

import itertools
from typing import Any

import contract
import numpy
import pytest
import synthetic

SHAPES = ["circle", "square", "triangle"]


def settings(**changes: Any) -> dict[str, Any]:
    drawing = {"images": 12, "size": [128, 160], "objects": [1, 3], "seed": 7, **changes}
    return {"synthetic": drawing, "classes": SHAPES}


def silent(done: int, total: int) -> None:
    pass


def test_same_settings_give_the_same_bytes() -> None:
    first, again = (synthetic.read(None, settings(), silent) for _ in range(2))
    assert [picture.read() for picture in first.pictures] == [picture.read() for picture in again.pictures]
    assert [picture.boxes for picture in first.pictures] == [picture.boxes for picture in again.pictures]
    assert len({picture.sha256 for picture in first.pictures}) == first.total == 12


def test_a_picture_depends_on_seed_and_index_alone() -> None:
    few, many = synthetic.read(None, settings(images=3), silent), synthetic.read(None, settings(images=6), silent)
    assert [picture.sha256 for picture in many.pictures[:3]] == [picture.sha256 for picture in few.pictures]
    other = synthetic.read(None, settings(seed=8), silent)
    assert not {picture.sha256 for picture in other.pictures} & {picture.sha256 for picture in many.pictures}
    large = synthetic.read(None, settings(seed=2**40), silent)
    assert large.pictures[0].sha256 != synthetic.read(None, settings(seed=0), silent).pictures[0].sha256


def test_size_is_height_then_width() -> None:
    picture = synthetic.read(None, settings(images=1), silent).pictures[0]
    assert (picture.width, picture.height) == (160, 128)


@pytest.mark.parametrize("size", [[128, 160], [160, 160], [96, 300]])
def test_boxes_are_within_the_picture_and_hardly_overlap(size: list[int]) -> None:
    drawing = settings(size=size)["synthetic"]
    counts = set()
    for index in range(60):
        _, boxes = synthetic.draw(index, drawing, SHAPES)
        counts.add(len(boxes))
        for box in boxes:
            assert 0 <= box.xmin < box.xmax <= size[1] and 0 <= box.ymin < box.ymax <= size[0]
            longest = max(box.xmax - box.xmin, box.ymax - box.ymin)
            # Smooth corners may lose a pixel on either side.
            assert 0.2 * min(size) - 3 <= longest <= 0.6 * min(size)
        for one, other in itertools.combinations(boxes, 2):
            across = min(one.xmax, other.xmax) - max(one.xmin, other.xmin)
            down = min(one.ymax, other.ymax) - max(one.ymin, other.ymin)
            if across > 0 and down > 0:
                areas = [(box.xmax - box.xmin) * (box.ymax - box.ymin) for box in (one, other)]
                assert across * down / (sum(areas) - across * down) < 0.1
    assert counts == {1, 2, 3}


def test_box_is_tight_around_what_was_drawn() -> None:
    drawing = settings(objects=[1, 1])["synthetic"]
    for index in range(30):
        image, (box,) = synthetic.draw(index, drawing, SHAPES)
        pixels = numpy.asarray(image).astype(int)
        middle = pixels[int(box.ymin + box.ymax) // 2, int(box.xmin + box.xmax) // 2]
        drawn = (abs(pixels - middle).sum(axis=2) < 4)[int(box.ymin) : int(box.ymax), int(box.xmin) : int(box.xmax)]
        # One pixel of tolerance: the rim is smooth.
        assert drawn[:3].any() and drawn[-3:].any() and drawn[:, :3].any() and drawn[:, -3:].any()
        outside = (abs(pixels - middle).sum(axis=2) < 4).sum() - drawn.sum()
        assert outside < 0.01 * drawn.sum() + 20


def test_every_class_is_drawn_and_only_those_asked_for() -> None:
    found = synthetic.read(None, {**settings(images=40), "classes": ["triangle", "circle"]}, silent)
    assert {box.label for picture in found.pictures for box in picture.boxes} == {"triangle", "circle"}


@pytest.mark.parametrize(
    ("changes", "classes", "code"),
    [
        ({}, ["circle", "hexagon"], "dataset-unknown-shape"),
        ({"size": [31, 160]}, SHAPES, "dataset-too-small"),
        ({"objects": [60, 60]}, SHAPES, "dataset-too-crowded"),
    ],
)
def test_what_cannot_be_drawn(changes: dict[str, Any], classes: list[str], code: str) -> None:
    with pytest.raises(contract.Failure) as failure:
        synthetic.read(None, {**settings(**changes), "classes": classes}, silent)
    assert failure.value.code == code


def test_crowded_pictures_come_to_an_end() -> None:
    for index in range(10):
        _, boxes = synthetic.draw(index, settings(objects=[6, 6])["synthetic"], SHAPES)
        assert len(boxes) == 6
