"""The constant-answer baseline: what a model would score that never looked at the picture.

For each class, the box that does best when it is given for every picture alike, searched on the evaluation
split itself; and, because a detector may give many boxes, the best few. They are the figures beside which
every other one has to be read. Knowing the answers, the search flatters the baseline, never the model.
"""

import coco_metrics
import geometry
import numpy as np

SCORES = (0.9, 0.6, 0.3)
"""Scores of the first, second and third box of a class; no more are tried."""

TRIED = 6
"""Candidates of each round that are scored with the oracle."""

CANDIDATES = 300


def constant_answer(ground_truth):
    """The best constant answers found for a COCO ground-truth dict, and what they score.

    Returns the oracle's figures (see coco_metrics.evaluate) for one box a class, with ``boxes``:
    {class: [[ymin, xmin, ymax, xmax]]}, normalised; and the same for up to three boxes a class, best first,
    under ``several_boxes``.
    """
    truth = coco_metrics.load_truth(ground_truth)
    chosen = {}
    for category in sorted(ground_truth["categories"], key=lambda item: item["id"]):
        own = [row for row in ground_truth["annotations"] if row["category_id"] == category["id"]]
        if own:
            chosen[category["id"]] = _best_boxes(ground_truth, category, own)
    first = {category: boxes[:1] for category, boxes in chosen.items()}
    return dict(_scored(truth, ground_truth, first), several_boxes=_scored(truth, ground_truth, chosen))


def _scored(truth, ground_truth, chosen):
    rows = [row for category, boxes in chosen.items() for row in _rows(ground_truth, category, boxes)]
    names = {category["id"]: category["name"] for category in ground_truth["categories"]}
    boxes = {names[category]: np.round(np.array(found), 6).tolist() for category, found in chosen.items()}
    return dict(coco_metrics.evaluate(truth, rows), boxes=boxes)


def _best_boxes(ground_truth, category, annotations):
    """Greedy: the box that finds most pictures' objects, then the one that adds most, while AP50 grows."""
    truth = coco_metrics.load_truth(dict(ground_truth, categories=[category], annotations=annotations))
    sizes = {image["id"]: (float(image["width"]), float(image["height"])) for image in ground_truth["images"]}
    boxes = np.array([_normalised(row["bbox"], sizes[row["image_id"]]) for row in annotations])
    images = np.unique([row["image_id"] for row in annotations], return_inverse=True)[1]
    candidates = _candidates(boxes)
    overlaps = geometry.iou_matrix(candidates, boxes)
    covered = np.zeros(len(boxes), bool)
    chosen, best = [], -1.0
    for _ in SCORES:
        hits = (overlaps >= 0.5) & ~covered
        # A constant box can match one object of a picture only.
        gains = np.array([len(np.unique(images[row])) for row in hits])
        order = np.lexsort((-np.where(hits, overlaps, 0.0).sum(axis=1), -gains))[:TRIED]
        trials = []
        for index in order:
            rows = _rows(ground_truth, category["id"], [*chosen, candidates[index]])
            trials.append((coco_metrics.ap50(truth, rows), index))
        score, index = max(trials, key=lambda trial: trial[0])
        if score <= best:
            break
        best = score
        chosen.append(candidates[index])
        covered |= hits[index]
    return chosen


def _candidates(boxes):
    """Boxes worth trying: some of the split's own, each moved to the mean of those it finds, the median."""
    step = max(1, -(-len(boxes) // CANDIDATES))
    own = boxes[::step]
    near = geometry.iou_matrix(own, boxes) >= 0.5
    near[np.arange(len(own)), np.arange(len(own)) * step] = True  # a box without area overlaps nothing
    moved = near.astype(np.float64) @ boxes / near.sum(axis=1, keepdims=True)
    return np.concatenate([np.median(boxes, axis=0)[None], moved, own])


def _normalised(bbox, size):
    left, top, width, height = bbox
    return [top / size[1], left / size[0], (top + height) / size[1], (left + width) / size[0]]


def _rows(ground_truth, category, boxes):
    classes, scores = [category - 1] * len(boxes), SCORES[: len(boxes)]
    images = sorted(ground_truth["images"], key=lambda image: image["id"])
    return [row for image in images for row in coco_metrics.pixel_rows(image, boxes, scores, classes)]
