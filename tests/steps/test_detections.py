"""The arrays that infer leaves: threshold, order, empty slots, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import contract
import detections
import numpy as np
import pytest

BOXES = np.array([[0, 0, 0.5, 0.5], [0.1, 0.1, 0.9, 0.9], [-0.1, 0, 1.1, 1]], np.float32)


def filled(threshold: float = 0.25) -> detections.Detections:
    found = detections.Detections(4, threshold)
    found.add(7, BOXES[:0], [], [])
    found.add(2, BOXES, np.float32([0.25, 0.9, 0.2]), [1.0, 0.0, 2.0])
    for image_id in (7, 2):
        found.add_raw(image_id, np.full((5, 4), image_id), np.zeros((5, 3)))
    return found


def test_layout(tmp_path: Path) -> None:
    filled().save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["image_id"].tolist() == [2, 7]
        assert arrays["count"].tolist() == [2, 0]
        assert arrays["scores"].tolist() == [[np.float32(0.9), 0.25, 0, 0], [0] * 4]
        assert arrays["classes"].tolist() == [[0, 1, -1, -1], [-1] * 4]
        np.testing.assert_array_equal(arrays["boxes"][0, :2], BOXES[[1, 0]])
        assert not arrays["boxes"][0, 2:].any()
        assert arrays["raw_image_id"].tolist() == [2, 7]
        assert arrays["raw_boxes"][:, 0, 0].tolist() == [2, 7]
        types = {name: (arrays[name].dtype.name, arrays[name].ndim) for name in arrays}
    assert types == {
        "image_id": ("int64", 1),
        "boxes": ("float32", 3),
        "scores": ("float32", 2),
        "classes": ("int32", 2),
        "count": ("int32", 1),
        "raw_image_id": ("int64", 1),
        "raw_boxes": ("float32", 3),
        "raw_scores": ("float32", 3),
    }


def test_the_clock_is_not_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled().save(tmp_path / "a.npz")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    filled().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numbers_that_are_not_finite_stop_the_step() -> None:
    with pytest.raises(contract.Failure) as failure:
        detections.Detections(4, 0.0).add(1, BOXES[:1], [float("nan")], [0])
    assert failure.value.code == "infer-not-finite"


def test_more_detections_than_slots_stop_the_step() -> None:
    with pytest.raises(contract.Failure) as failure:
        detections.Detections(2, 0.0).add(1, BOXES, [0.5, 0.5, 0.5], [0, 0, 0])
    assert failure.value.code == "infer-detections"
