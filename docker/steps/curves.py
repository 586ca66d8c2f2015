"""Precision over recall, class by class, as the one metric oracle sees it."""

import coco_metrics
import numpy as np

IOU = 0.5
DIGITS, SCORE_DIGITS = 6, 3
"""Precisions are shares of whole numbers, and their mean has to be the AP; scores differ between processors by some
1e-7, and with more digits would show as another file."""


def precision_recall(truth, rows):
    """{class: {"precision", "score", "boxes"}} at an overlap of IOU; ``truth`` and ``rows`` as for
    :func:`coco_metrics.evaluate`.

    ``precision`` and ``score``: 101 numbers, at recall 0, 0.01 ... 1: the best precision that is reached at this recall
    or a higher one, 0 where it never is, and the score from which detections have to count for it. The mean of
    ``precision`` is the class's AP. ``boxes`` counts those to be found; a class without any has None throughout.
    """
    # The module's own function: to rename it there would change the keys of all trainings, which import it.
    judge = coco_metrics._judged(truth, rows, np.array([IOU]))
    precision, score = (judge.eval[name][0, :, :, 0, -1] for name in ("precision", "scores"))  # [recall, class]
    return {
        truth.cats[category]["name"]: {
            "precision": _numbers(precision[:, index], DIGITS),
            "score": _numbers(score[:, index], SCORE_DIGITS),
            "boxes": len(truth.getAnnIds(catIds=[category], iscrowd=False)),
        }
        for index, category in enumerate(judge.params.catIds)
    }


def _numbers(values, digits):
    """``values`` rounded; None for -1, COCOeval's word for a class with no box."""
    return [None if value < 0 else round(float(value), digits) for value in values]
