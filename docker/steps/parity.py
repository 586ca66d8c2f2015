"""How far two stages of a build are apart: their detections matched one to one, and their raw heads."""

import geometry
import numpy as np

FLOOR = 0.01
"""Detections below this score are not compared: at the tail, ties decide which of them are kept at all."""

SAME = 0.5
"""Least overlap of two detections that are taken for the same one."""

DIGITS = 4
"""What differences are rounded to. The float kernels of TensorFlow and of LiteRT differ between processors by some
1e-6, which says nothing about a model; with more digits it would show as another file."""

RULES = {
    "score_floor": FLOOR,
    "least_iou": SAME,
    "same_class": True,
    "order": "best score first, each with the one that overlaps it most",
    "boxes": "cut to the picture",
    "digits": DIGITS,
}
"""How :func:`compare` matches, for those who read its figures."""


def compare(first, second):
    """Differences between two lists of answers [(boxes [n, 4], scores [n], classes [n])], a picture each.

    Each detection of ``first`` is matched, best first, with the detection of ``second`` of its class that
    overlaps it most. Returns counts (``matched``, ``unmatched`` on either side), ``min_iou``, ``mean_iou``,
    ``max_box_diff``, ``mean_box_diff`` (normalised coordinates), ``max_score_diff``, ``mean_score_diff``.
    """
    overlaps, boxes, scores, unmatched = [], [], [], 0
    for one, other in zip(first, second):
        one, other = _above(one, FLOOR), _above(other, FLOOR / 2)
        pairs, overlap = _matches(one, other)
        unmatched += len(one[1]) - len(pairs)
        taken = {index for _, index in pairs}
        unmatched += sum(1 for index, score in enumerate(other[1]) if score >= FLOOR and index not in taken)
        for left, right in pairs:
            overlaps.append(overlap[left, right])
            boxes.append(np.abs(one[0][left].astype(np.float64) - other[0][right]).max())
            scores.append(abs(float(one[1][left]) - float(other[1][right])))
    return {
        "matched": len(overlaps),
        "unmatched": int(unmatched),
        "min_iou": _figure(overlaps, np.min),
        "mean_iou": _figure(overlaps, np.mean),
        "max_box_diff": _figure(boxes, np.max),
        "mean_box_diff": _figure(boxes, np.mean),
        "max_score_diff": _figure(scores, np.max),
        "mean_score_diff": _figure(scores, np.mean),
    }


def heads(first, second):
    """Largest and mean absolute difference of raw box encodings and raw class scores.

    ``first`` and ``second``: (boxes [n, anchors, 4], scores [n, anchors, classes]); None if the shapes differ.
    """
    if any(one.shape != other.shape for one, other in zip(first, second)):
        return None
    result = {"pictures": int(first[0].shape[0])}
    for name, one, other in zip(("box", "score"), first, second):
        gap = np.abs(one.astype(np.float64) - other.astype(np.float64))
        result["max_raw_%s_diff" % name] = _figure(gap, np.max)
        result["mean_raw_%s_diff" % name] = _figure(gap, np.mean)
    return result


def _above(answer, floor):
    """The detections from ``floor`` on, cut to the picture: the frozen graph cuts its boxes, the .tflite does not."""
    kept = answer[1] >= floor
    boxes, scores, classes = (part[kept] for part in answer)
    return np.clip(boxes, 0.0, 1.0), scores, classes


def _matches(one, other):
    overlap = geometry.iou_matrix(one[0], other[0])
    open_to = np.where(one[2][:, None] == other[2][None, :], overlap, 0.0)
    pairs = []
    for left in range(len(one[1])):
        if open_to.shape[1] and open_to[left].max() >= SAME:
            right = int(open_to[left].argmax())
            pairs.append((left, right))
            open_to[:, right] = 0.0
    return pairs, overlap


def _figure(values, reduce):
    return round(float(reduce(values)), DIGITS) if np.size(values) else None
