"""Finds a model that answers (nearly) the same whatever it is shown.

Where objects are large and in the middle, one constant box can reach a respectable mAP, so mAP alone cannot
tell. Here the best detections of all pictures are compared with each other. Two pictures have *the same
answer* if the boxes overlap by at least SAME_BOX, the classes agree and the scores differ by at most
SAME_SCORE. Even on portraits of one animal, real boxes do that in a few pairs of a hundred.
"""

import geometry
import numpy as np

SAME_BOX = 0.8
SAME_SCORE = 0.1
SAME_SHARE = 0.5
"""Share of the pairs of pictures with the same answer from which a model counts as constant."""

FIXED_BOX = 0.9
FIXED_SHARE = 0.9
"""A box that hardly moves (overlap, share of the pairs) is a constant answer even if its score varies,
unless the objects themselves hardly move."""

ONE_SCORE = 1e-3
"""If the scores of all detections of all pictures lie this close together, they say nothing: a network whose
quantization went wrong gives 0.5 for everything."""

PICTURES = 1000

DIGITS = 4
"""What scores and overlaps are rounded to; beyond it they differ from processor to processor."""


def judge(answers, ground_truth=None):
    """Verdict on ``answers``: [(boxes [n, 4] normalised, scores [n], classes [n])], best first, one a picture.

    ``ground_truth`` (COCO dict) tells whether the objects themselves stay in one place. The verdict:
    ``constant_answer`` (bool), ``reason`` (text or None), ``same_answer_share`` and ``same_box_share`` (of the
    pairs of pictures), ``mean_pairwise_iou`` and ``score_min/max/std`` of the best detections,
    ``without_detections`` and ``pictures`` (counts).
    """
    answers = answers[:: max(1, -(-len(answers) // PICTURES))]
    found = np.array([len(scores) > 0 for _, scores, _ in answers], bool)
    boxes = np.array([boxes[0] if len(boxes) else np.zeros(4) for boxes, _, _ in answers], np.float64).reshape(-1, 4)
    scores = np.array([scores[0] if len(scores) else 0.0 for _, scores, _ in answers], np.float64)
    classes = np.array([classes[0] if len(classes) else -1 for _, _, classes in answers], np.int64)

    pairs = np.triu_indices(len(answers), 1)
    overlaps = geometry.iou_matrix(boxes, boxes)[pairs]
    same_class = (classes[:, None] == classes[None, :])[pairs]
    nothing = (~found[:, None] & ~found[None, :])[pairs]
    near = np.abs(scores[:, None] - scores[None, :])[pairs] <= SAME_SCORE
    same = _share((same_class & near & (overlaps >= SAME_BOX)) | nothing)
    fixed = _share((same_class & (overlaps >= FIXED_BOX)) | nothing)

    reason = None
    if len(answers) > 1 and not found.any():
        reason = "the model finds nothing in any picture"
    elif len(answers) > 1 and same >= SAME_SHARE:
        reason = "two pictures get the same box with the same score in %.0f%% of all pairs" % (100 * same)
    elif len(answers) > 1 and fixed >= FIXED_SHARE and _share(_truth_overlaps(ground_truth) >= FIXED_BOX) < SAME_SHARE:
        reason = "the best box stays in one place in %.0f%% of all pairs of pictures" % (100 * fixed)
    every = np.concatenate([scores for _, scores, _ in answers] or [np.zeros(0)])
    if reason is None and every.size > 2 * len(answers) > 2 and np.ptp(every) < ONE_SCORE:
        reason = "every detection has the same score, %.3f" % every.mean()
    seen = scores[found] if found.any() else np.zeros(1)
    return {
        "constant_answer": reason is not None,
        "reason": reason,
        "same_answer_share": round(same, 6),
        "same_box_share": round(fixed, 6),
        "mean_pairwise_iou": round(float(overlaps.mean()) if overlaps.size else 0.0, DIGITS),
        "score_min": round(float(seen.min()), DIGITS),
        "score_max": round(float(seen.max()), DIGITS),
        "score_std": round(float(seen.std()), DIGITS),
        "without_detections": int((~found).sum()),
        "pictures": len(answers),
    }


def _truth_overlaps(ground_truth):
    """Overlaps between the largest objects of all pairs of pictures (normalised)."""
    largest = {}
    images = {image["id"]: image for image in (ground_truth or {}).get("images", [])}
    for row in (ground_truth or {}).get("annotations", []):
        image = images[row["image_id"]]
        left, top, width, height = row["bbox"]
        box = [top / image["height"], left / image["width"],
               (top + height) / image["height"], (left + width) / image["width"]]  # fmt: skip
        if width * height > largest.get(row["image_id"], (0, None))[0]:
            largest[row["image_id"]] = (width * height, box)
    boxes = np.array([largest[key][1] for key in sorted(largest)][:PICTURES]).reshape(-1, 4)
    return geometry.iou_matrix(boxes, boxes)[np.triu_indices(len(boxes), 1)]


def _share(flags):
    return float(flags.mean()) if flags.size else 0.0
