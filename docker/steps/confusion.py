"""What a detector took for what: each detection from a score on is set against the boxes that were annotated.

The rule, for one picture. Detections choose in turn, best score first (of equal ones the first). Each takes the
annotated box that overlaps it most among those that are free, whatever its class, if they overlap by at least LEAST_IOU
(intersection over union); of boxes that overlap it equally it prefers one of its own class, then the first. An
annotated box that nobody took is *missed*. A detection without a box is *extra*, unless half of its area or more lies
on one box that is to be ignored (a crowd, as COCO counts them): such boxes and detections count neither way. This is
not COCO's own matching, which keeps classes apart and so cannot say which is taken for which.
"""

import collections

import geometry
import numpy as np

LEAST_IOU = 0.5

Annotated = collections.namedtuple("Annotated", ["boxes", "classes", "ignored"])
"""What is annotated in a picture. boxes [n, 4]: (ymin, xmin, ymax, xmax) in any one unit; classes int [n], from 0;
ignored bool [n]."""

Outcome = collections.namedtuple("Outcome", ["pairs", "missed", "extra"])
"""What came of a picture: [(class annotated, class found)], classes of the missed boxes, of the extra detections."""


def outcome(annotated, found):
    """The Outcome of one picture. ``found``: (boxes [m, 4] in the same unit, scores [m], classes [m])."""
    counted = np.flatnonzero(~np.asarray(annotated.ignored, bool))
    classes = np.asarray(annotated.classes)[counted]
    overlap = geometry.iou_matrix(found[0], np.asarray(annotated.boxes).reshape(-1, 4)[counted])
    on_ignored = _share_within(
        found[0], np.asarray(annotated.boxes).reshape(-1, 4)[np.asarray(annotated.ignored, bool)]
    )
    free, pairs, extra = np.ones(len(counted), bool), [], []
    for place in np.argsort(-np.asarray(found[1]), kind="stable"):
        label = int(found[2][place])
        open_to = np.flatnonzero(free & (overlap[place] >= LEAST_IOU))
        if open_to.size:
            taken = max(open_to, key=lambda box: (overlap[place, box], classes[box] == label, -box))
            free[taken] = False
            pairs.append((int(classes[taken]), label))
        elif not (on_ignored[place] >= 0.5).any():
            extra.append(label)
    return Outcome(pairs, classes[free].tolist(), extra)


def counts(outcomes, classes):
    """All Outcomes as a table [classes + 1][classes + 1]: rows are annotated classes and, last, nothing annotated;
    columns are found classes and, last, not found. The sum of a row is how many boxes of its class are annotated."""
    table = np.zeros((classes + 1, classes + 1), np.int64)
    for one in outcomes:
        for annotated, label in one.pairs:
            table[annotated, label] += 1
        for annotated in one.missed:
            table[annotated, classes] += 1
        for label in one.extra:
            table[classes, label] += 1
    return table.tolist()


def worst(identities, outcomes, most):
    """The pictures with most mistakes: [{"id", "missed", "wrong", "extra"}], worst first, at most ``most`` of them.

    Mistakes are missed boxes, boxes that were given a wrong class, and extra detections, all alike; of equal
    pictures that with the lower id is first. A picture without a mistake is not listed.
    """
    rows = [
        {
            "id": int(identity),
            "missed": len(one.missed),
            "wrong": sum(annotated != label for annotated, label in one.pairs),
            "extra": len(one.extra),
        }
        for identity, one in zip(identities, outcomes)
    ]
    ranked = sorted((-row["missed"] - row["wrong"] - row["extra"], row["id"], row) for row in rows)
    return [row for mistakes, _, row in ranked[:most] if mistakes]


def _share_within(boxes, others):
    """The share of the area of each of ``boxes`` [n, 4] that lies within each of ``others`` [m, 4], as [n, m]."""
    boxes, others = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(others, np.float64).reshape(-1, 4)
    low, high = np.maximum(boxes[:, None, :2], others[None, :, :2]), np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    area = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None), axis=1)[:, None]
    return np.where(area > 0, shared / np.where(area > 0, area, 1.0), 0.0)
