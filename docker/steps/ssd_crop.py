"""The Object Detection API's ``ssd_random_crop`` (Liu et al., SSD, 2016), from a given generator.

The same distribution of windows and the same boxes kept as ``preprocessor.ssd_random_crop`` with its defaults, which
draws windows with ``tf.image.sample_distorted_bounding_box``.
"""

import math

import numpy as np

_WHOLE = (0.0, 0.0, 1.0, 1.0)
_KEPT_WHOLE = 0.15
_LEAST_COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
_ASPECT = (0.5, 2.0)
_AREA = (0.1, 1.0)
_TRIES = 100


def window(size, boxes, random):
    """((top, left, bottom, right) as shares of the picture, the share of a box that must be covered for it to stay).

    ``size``: (height, width) of the picture in pixels; ``boxes``: float [n, 4] as shares.
    """
    least = _LEAST_COVERED[int(random.integers(len(_LEAST_COVERED)))]
    if random.random() <= _KEPT_WHOLE:
        return _WHOLE, 0.0
    # Where there is no box, the picture itself is the one to cover.
    boxes = boxes if len(boxes) else np.array([_WHOLE])
    for _ in range(_TRIES):
        found = _rectangle(size, random.uniform(*_ASPECT), random)
        if found is not None and (covered(boxes, found) >= least).any():
            return found, least
    return _WHOLE, least


def kept(boxes, found, least):
    """Which boxes stay in the window: those that it touches and covers by at least the share ``least``, bool [n]."""
    shares = covered(boxes, found)
    return (shares > 0) & (shares >= least)


def covered(boxes, found):
    """The share of each box that lies in the window, float [n]."""
    height = np.minimum(boxes[:, 2], found[2]) - np.maximum(boxes[:, 0], found[0])
    width = np.minimum(boxes[:, 3], found[3]) - np.maximum(boxes[:, 1], found[1])
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.maximum(height, 0) * np.maximum(width, 0) / np.maximum(area, 1e-12)


def _rectangle(size, aspect, random):
    """A window of whole pixels with about this aspect (width to height), its height drawn evenly; or None."""
    high, wide = size
    least, most = (share * high * wide for share in _AREA)
    tallest = int(min(high, round(math.sqrt(most / aspect)), (wide + 0.5) / aspect))
    height = min(int(round(math.sqrt(least / aspect))), tallest)
    height += int(random.integers(tallest - height + 1))
    width = int(round(height * aspect))
    if not (least <= width * height <= most and 0 < width <= wide and 0 < height <= high):
        return None
    # As TensorFlow does, the last place is left out where there is more than one.
    top = int(random.integers(max(1, high - height)))
    left = int(random.integers(max(1, wide - width)))
    return top / high, left / wide, (top + height) / high, (left + width) / wide
