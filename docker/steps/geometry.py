"""Overlap of boxes."""

import numpy as np


def iou_matrix(first, second):
    """Intersection over union of boxes [n, 4] with boxes [m, 4] as [n, m]; 0 where both have no area.

    Boxes are (ymin, xmin, ymax, xmax) in any one unit.
    """
    first, second = np.asarray(first, np.float64).reshape(-1, 4), np.asarray(second, np.float64).reshape(-1, 4)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    total = _area(first)[:, None] + _area(second)[None, :] - shared
    return np.where(total > 0, shared / np.where(total > 0, total, 1.0), 0.0)


def _area(boxes):
    return np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None), axis=1)
