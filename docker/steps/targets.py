"""Anchors to ground truth, in numpy: what the API's argmax matcher and box coder compute, a batch at a time.

The API builds a graph of some two hundred small operations a picture for this; here it is done by the thread
that prepares the batches.
"""

import numpy as np

_MATCHED = 0.5
_SCALES = np.array([10.0, 10.0, 5.0, 5.0], np.float32)
_EPSILON = np.float32(1e-8)


def assign(anchors, boxes, labels):
    """Targets of one picture.

    ``anchors``: float32 [a, 4]; ``boxes``: float32 [n, 4]; both ymin xmin ymax xmax; ``labels``: int32 [n], negative
    for boxes to be ignored. Returns (classes int32 [a], 0 for background and -1 for neither: an anchor that lies on an
    ignored box and on no other; offsets float32 [a, 4], zero but for objects).
    """
    classes = np.zeros(len(anchors), np.int32)
    offsets = np.zeros((len(anchors), 4), np.float32)
    skipped = labels < 0
    if skipped.any():
        classes[(iou(boxes[skipped], anchors) >= _MATCHED).any(axis=0)] = -1
        boxes, labels = boxes[~skipped], labels[~skipped]
    if len(boxes) == 0:
        return classes, offsets
    overlap = iou(boxes, anchors)
    match = overlap.argmax(axis=0)
    match[overlap.max(axis=0) < _MATCHED] = -1
    # Every box gets its best anchor; where two want the same one, the first has it.
    for row in range(len(boxes) - 1, -1, -1):
        match[overlap[row].argmax()] = row
    positive = match >= 0
    classes[positive] = labels[match[positive]]
    offsets[positive] = encode(boxes[match[positive]], anchors[positive])
    return classes, offsets


def batch(anchors, boxes, labels):
    """``assign`` for each picture of a batch: (int32 [batch, a], float32 [batch, a, 4])."""
    pairs = [assign(anchors, *pair) for pair in zip(boxes, labels)]
    return np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])


def iou(first, second):
    """Intersection over union of every pair, float32 [len(first), len(second)]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    union = area(first)[:, None] + area(second)[None, :] - common
    return np.where(common > 0, common / np.maximum(union, _EPSILON), np.float32(0))


def area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def encode(boxes, anchors):
    """The faster-RCNN box code of ``boxes`` relative to ``anchors``, with the API's scales, float32 [n, 4]."""
    box_center, box_size = _center_size(boxes)
    anchor_center, anchor_size = _center_size(anchors)
    box_size, anchor_size = box_size + _EPSILON, anchor_size + _EPSILON
    # The logarithm is taken in float64 and rounded once: float32 ones differ between C libraries.
    scale = np.log((box_size / anchor_size).astype(np.float64))
    return (np.concatenate([(box_center - anchor_center) / anchor_size, scale], axis=1) * _SCALES).astype(np.float32)


def _center_size(boxes):
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + size / 2, size
