"""Detections of many pictures as plain arrays, in a file whose bytes depend on nothing else."""

import contract
import numpy as np


class Detections(object):
    """Collects answers, a picture at a time, in slots of fixed number.

    ``slots``: most detections a picture; ``threshold``: least score, the same for every stage. Unused slots hold
    a zero box, score 0 and class -1.
    """

    def __init__(self, slots, threshold):
        self._slots, self._threshold = slots, np.float32(threshold)
        self._ids, self._rows, self._raw_ids, self._raw = [], [], [], []

    def add(self, image_id, boxes, scores, classes):
        """One picture's answer: boxes [n, 4] (ymin xmin ymax xmax, normalised), scores [n], classes [n] from 0."""
        boxes, scores, classes = np.asarray(boxes), np.asarray(scores), np.asarray(classes)
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all() and np.isfinite(classes).all()):
            raise contract.Failure(
                "infer-not-finite",
                "the answer to picture %d is not finite" % image_id,
                "training went wrong: look at its losses",
            )
        kept = np.flatnonzero(scores >= self._threshold)
        # Stable, so that equal scores keep the order of the runtime.
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        if len(kept) > self._slots:
            raise contract.Failure(
                "infer-detections",
                "%d detections in picture %d, at most %d were asked for" % (len(kept), image_id, self._slots),
            )
        row = (
            np.zeros((self._slots, 4), np.float32),
            np.zeros(self._slots, np.float32),
            np.full(self._slots, -1, np.int32),
            len(kept),
        )
        row[0][: len(kept)], row[1][: len(kept)] = boxes[kept], scores[kept]
        row[2][: len(kept)] = np.rint(classes[kept]).astype(np.int32)
        self._ids.append(image_id)
        self._rows.append(row)

    def add_raw(self, image_id, boxes, scores):
        """What the network said of one picture before suppression: encodings [a, 4], class scores [a, c + 1]."""
        self._raw_ids.append(image_id)
        self._raw.append((np.asarray(boxes, np.float32), np.asarray(scores, np.float32)))

    def save(self, path):
        """Writes the arrays to an .npz, pictures in the order of their ids."""
        order, raw = np.argsort(self._ids, kind="stable"), np.argsort(self._raw_ids, kind="stable")
        columns = [np.stack([self._rows[place][column] for place in order]) for column in range(4)]
        with open(path, "wb") as stream:
            # numpy dates the members 1980 and keeps the order given.
            np.savez(
                stream,
                image_id=np.array(self._ids, np.int64)[order],
                boxes=columns[0],
                scores=columns[1],
                classes=columns[2],
                count=columns[3].astype(np.int32),
                raw_image_id=np.array(self._raw_ids, np.int64)[raw],
                raw_boxes=np.stack([self._raw[place][0] for place in raw]),
                raw_scores=np.stack([self._raw[place][1] for place in raw]),
            )
