"""The one metric oracle: pycocotools' COCOeval, with its prints silenced.

Every stage of a build (frozen graph, .tflite in either runtime, constant baseline) is scored here, with the
same ground truth and the same detections per picture.
"""

import contextlib
import io

import contract
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MAX_DETECTIONS = (1, 10, 100)


def pixel_rows(image, boxes, scores, classes):
    """One picture's answer as COCO results.

    ``image`` is its COCO entry; boxes [n, 4] are normalised (ymin, xmin, ymax, xmax); classes count from 0,
    COCO's categories from 1. Boxes are clipped to the picture.
    """
    width, height = float(image["width"]), float(image["height"])
    rows = []
    for box, score, label in zip(boxes, scores, classes):
        top, left, bottom, right = (float(side) for side in np.clip(box, 0.0, 1.0))
        rows.append(
            {
                "image_id": int(image["id"]),
                "category_id": int(label) + 1,
                "bbox": [left * width, top * height, max(right - left, 0.0) * width, max(bottom - top, 0.0) * height],
                "score": float(score),
            }
        )
    return rows


def load_truth(ground_truth):
    """A COCO ground-truth dict, indexed. Failure if it holds no box to find."""
    if not ground_truth.get("annotations"):
        raise contract.Failure("dataset-empty", "the evaluation split has no box: nothing can be measured on it")
    annotations = []
    for number, row in enumerate(ground_truth["annotations"], 1):
        full = dict(row, id=number)  # COCOeval takes a match with id 0 for no match
        full.setdefault("iscrowd", 0)
        full.setdefault("area", row["bbox"][2] * row["bbox"][3])
        annotations.append(full)
    return _indexed(dict(ground_truth, annotations=annotations))


def evaluate(truth, rows):
    """Scores ``rows`` (COCO results, see :func:`pixel_rows`) against ``truth`` (:func:`load_truth`).

    Returns map, map50, map75 and ar1, ar10, ar100 as the mean over the classes that have boxes, and
    ``per_class``: {name: {"ap", "ap50", "ar100", "boxes"}}; 0 to 1, rounded to 6 digits.
    """
    judge = _judged(truth, rows)
    precision = judge.eval["precision"][:, :, :, 0, -1]  # [IoU, recall, class]
    recall = judge.eval["recall"][:, :, 0, :]  # [IoU, class, detections]
    ious = judge.params.iouThrs
    at50, at75 = int(np.argmin(abs(ious - 0.5))), int(np.argmin(abs(ious - 0.75)))
    per_class = {}
    for index, category in enumerate(judge.params.catIds):
        boxes = len(truth.getAnnIds(catIds=[category], iscrowd=False))
        if boxes:
            per_class[truth.cats[category]["name"]] = {
                "ap": _mean(precision[:, :, index]),
                "ap50": _mean(precision[at50, :, index]),
                "ar100": _mean(recall[:, index, 2]),
                "boxes": boxes,
            }
    return {
        "map": _mean(precision),
        "map50": _mean(precision[at50]),
        "map75": _mean(precision[at75]),
        "ar1": _mean(recall[:, :, 0]),
        "ar10": _mean(recall[:, :, 1]),
        "ar100": _mean(recall[:, :, 2]),
        "per_class": per_class,
    }


def score(ground_truth, identities, answers):
    """:func:`evaluate` of ``answers``, [(boxes, scores, classes)], to the images with these ids.

    ``ground_truth``: COCO dict; an answer's arrays as in :func:`pixel_rows`.
    """
    images = {image["id"]: image for image in ground_truth["images"]}
    rows = [row for number, answer in zip(identities, answers) for row in pixel_rows(images[number], *answer)]
    return evaluate(load_truth(ground_truth), rows)


def ap50(truth, rows):
    """Only the map50 of :func:`evaluate`, for searches: several times faster."""
    return _mean(_judged(truth, rows, np.array([0.5])).eval["precision"][0, :, :, 0, -1])


def matches(truth, rows):
    """Every detection at an overlap of 0.5: (scores [n], whether each is right [n], boxes there are to find)."""
    judge = _judged(truth, rows, np.array([0.5]))
    seen = [found for found in judge.evalImgs if found is not None]
    counted = [~np.asarray(found["dtIgnore"][0], bool) for found in seen]
    scores = [np.asarray(found["dtScores"], np.float64)[kept] for found, kept in zip(seen, counted)]
    right = [np.asarray(found["dtMatches"][0])[kept] > 0 for found, kept in zip(seen, counted)]
    boxes = sum(int((np.asarray(found["gtIgnore"]) == 0).sum()) for found in seen)
    return np.concatenate(scores), np.concatenate(right), boxes


def _judged(truth, rows, thresholds=None):
    annotations = []
    for number, row in enumerate(rows, 1):
        width, height = row["bbox"][2:]
        annotations.append(dict(row, id=number, iscrowd=0, area=width * height))
    answers = _indexed(dict(truth.dataset, annotations=annotations))
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(truth, answers, "bbox")
        judge.params.maxDets = list(MAX_DETECTIONS)
        judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], ["all"]
        if thresholds is not None:
            judge.params.iouThrs = thresholds
        judge.evaluate()
        judge.accumulate()
    return judge


def _indexed(dataset):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dataset
        coco.createIndex()
    return coco


def _mean(values):
    """Mean of the entries that exist: COCOeval marks a class with no box by -1."""
    kept = values[values > -1]
    return round(float(kept.mean()), 6) if kept.size else 0.0
