"""The score from which a released model's detections are worth showing.

Scores of different trainings do not compare (those of focal loss are low), so a fixed threshold hides what one
model finds and shows another's noise. The score of the best F1 is what ``tinsmith detect`` draws from and what
the release advises an app to begin with. It is read off the evaluation split, and no other figure depends on it.
"""

import coco_metrics
import numpy as np


def best_f1(truth, rows):
    """{"score", "precision", "recall", "f1"} at an overlap of 0.5, all classes together.

    ``truth`` and ``rows`` as for :func:`coco_metrics.evaluate`. A detection counts from ``score`` on, rounded down
    to three digits. Without any right detection the score is 1, with nothing found.
    """
    scores, right, boxes = coco_metrics.matches(truth, rows)
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.cumsum(right[order])
    found = np.arange(1, len(scores) + 1)
    f1 = 2.0 * right / (found + boxes)
    # Equal scores are shown or hidden together: only the last of them is a place to stop.
    f1[:-1][scores[1:] == scores[:-1]] = 0.0
    if not len(f1) or f1.max() == 0:
        return {"score": 1.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    best = int(f1.argmax())
    return {
        "score": float(np.floor(scores[best] * 1000) / 1000),
        "precision": round(float(right[best] / found[best]), 6),
        "recall": round(float(right[best] / boxes), 6),
        "f1": round(float(f1[best]), 6),
    }
