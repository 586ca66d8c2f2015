"""evaluation.json: what a report shows of the evaluation beyond its figures, for the .tflite in LiteRT.

Precision over recall, which class is taken for which, and for a few pictures what is annotated, what the frozen graph
finds and what the .tflite finds: the first ones, which are golden, and the worst. Of the others only counts are kept,
so that the file stays small however large the evaluation split is.
"""

import coco_metrics
import confusion
import contract
import curves
import drawing
import golden
import numpy as np
from PIL import Image

FORMAT = 1
FILE, FOLDER = "evaluation.json", "evaluation"

WORST = 8
"""Worst pictures that are listed, at most."""

DETECTIONS = 20
"""Detections of a picture that are listed, at most: the best."""

ANNOTATED_DIGITS, FOUND_DIGITS = 4, 3
"""What is found is rounded to what can be seen: boxes and scores of TensorFlow differ between processors by some 1e-7,
and with more digits would show as another file."""

FROZEN, RELEASED = "frozen", "tflite_litert"


def write(request, truth, stages, metrics, detector, pixels):
    """Writes evaluation.json, and evaluation/<id>.png for the worst pictures that are not golden.

    ``truth``: COCO dict; ``stages``: {name: [(boxes, scores, classes)]}, a picture each in the order of ids;
    ``metrics``: the content of metrics.json. ``detector`` runs on the kernels of ``golden.kernels_for``: what is shown
    of the .tflite has the same bits on every processor. ``pixels(id)``: uint8 [height, width, 3] as the model sees it.
    """
    body = document(truth, request.params["classes"], stages, metrics)
    for identity, picture in sorted(body["pictures"].items(), key=lambda item: int(item[0])):
        seen = pixels(int(identity))
        picture[RELEASED] = listed(detector.detect(seen), body["score"], len(request.params["classes"]))
        if picture["picture"].startswith(FOLDER + "/"):
            with open(contract.output_path(request, *picture["picture"].split("/")), "wb") as stream:
                stream.write(drawing.png(Image.fromarray(seen)))
    contract.write_json(contract.output_path(request, FILE), body)


def document(truth, names, stages, metrics):
    """The body of evaluation.json; arguments as for :func:`write`, ``names``: of the classes."""
    images = sorted(truth["images"], key=lambda image: image["id"])
    identities, score = [image["id"] for image in images], metrics["operating_point"]["score"]
    rows = [row for image, one in zip(images, stages[RELEASED]) for row in coco_metrics.pixel_rows(image, *one)]
    annotated = annotations(truth)
    outcomes = [
        confusion.outcome(annotated[image["id"]], from_score(answer, score, len(names)))
        for image, answer in zip(images, stages[RELEASED])
    ]
    first = identities[: golden.PICTURES]
    worst = confusion.worst(identities, outcomes, WORST)
    pictures = {}
    for image, frozen, released in zip(images, stages[FROZEN], stages[RELEASED]):
        identity = image["id"]
        if identity in first or any(row["id"] == identity for row in worst):
            place = (golden.FOLDER, first.index(identity) + 1) if identity in first else (FOLDER, identity)
            pictures[str(identity)] = {
                "file_name": image["file_name"],
                "width": image["width"],
                "height": image["height"],
                "picture": "%s/%d.png" % place,
                "annotated": _boxes(annotated[identity]),
                FROZEN: listed(frozen, score, len(names)),
                RELEASED: listed(released, score, len(names)),
            }
    return {
        "format": FORMAT,
        "model_digest": metrics["model_digest"],
        "iou": confusion.LEAST_IOU,
        "score": score,
        "precision_recall": curves.precision_recall(coco_metrics.load_truth(truth), rows),
        "confusion": {"classes": list(names), "counts": confusion.counts(outcomes, len(names))},
        "pictures": pictures,
        "shown": first,
        "worst": worst,
    }


def annotations(truth):
    """{image id: confusion.Annotated} of a COCO dict, boxes as shares of the picture."""
    rows = {image["id"]: [] for image in truth["images"]}
    for row in truth["annotations"]:
        rows[row["image_id"]].append(row)
    found = {}
    for image in truth["images"]:
        width, height = float(image["width"]), float(image["height"])
        sides = [(y / height, x / width, (y + h) / height, (x + w) / width)
                 for x, y, w, h in (row["bbox"] for row in rows[image["id"]])]  # fmt: skip
        found[image["id"]] = confusion.Annotated(
            np.array(sides, np.float64).reshape(-1, 4),
            np.array([row["category_id"] - 1 for row in rows[image["id"]]], np.int64),
            np.array([bool(row.get("iscrowd", 0)) for row in rows[image["id"]]], bool),
        )
    return found


def from_score(answer, score, classes):
    """The detections of an answer (boxes, scores, classes) from ``score`` on, cut to the picture, in the same order.

    Without those of a class that the model cannot have: the metric oracle does not see them either.
    """
    boxes, scores, labels = (np.asarray(part) for part in answer)
    # In float64, as the score was chosen: rounded to the float32 of the answers it could exclude what it was read off.
    kept = (scores.astype(np.float64) >= score) & (labels >= 0) & (labels < classes)
    return np.clip(boxes.reshape(-1, 4)[kept].astype(np.float64), 0.0, 1.0), scores[kept], labels[kept]


def listed(answer, score, classes):
    """The best detections of an answer from ``score`` on: [{"box", "score", "class"}], best first."""
    boxes, scores, labels = from_score(answer, score, classes)
    order = np.argsort(-scores, kind="stable")[:DETECTIONS]
    return [
        {"box": _rounded(boxes[place], FOUND_DIGITS), "score": _rounded(scores[place : place + 1], FOUND_DIGITS)[0],
         "class": int(labels[place])}
        for place in order
    ]  # fmt: skip


def _boxes(annotated):
    """What is to be found in a picture: [{"box", "class"}]; without what is ignored."""
    return [
        {"box": _rounded(box, ANNOTATED_DIGITS), "class": int(label)}
        for box, label, ignored in zip(*annotated)
        if not ignored
    ]


def _rounded(values, digits):
    return [round(float(value), digits) for value in values]
