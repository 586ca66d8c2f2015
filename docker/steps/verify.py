"""Scores the model in every form it took, all on the same pictures, with one oracle and one threshold.

The frozen graph and the .tflite were run by TensorFlow 1.15 in ``infer``; here ai-edge-litert runs the same
bytes on the same pixels. Beside the figures stand what a constant answer would score and whether the model looks at
the picture at all; how far the stages are apart is the certificate's. Nothing is judged here: the budgets are the
plan's.
"""

import os
import platform

import baseline
import certificate
import coco_metrics
import contract
import degenerate
import drawing
import evaluation_data
import golden
import isolated
import litert
import numpy as np
import operating_point
from certificate import FLOAT, STAGES
from PIL import Image

SHOWN = 12


def main(request):
    """Writes metrics.json (how good), certificate.json (the same as trained), evaluation.json and evaluation/ (what a
    report shows), golden/ and detections.png."""
    truth = contract.read_json(contract.input_path(request, "inferred", "eval.json"))
    stages, raw = {}, {}
    inferred = list(STAGES[:2])
    if os.path.exists(contract.input_path(request, "inferred", FLOAT + ".npz")):
        inferred.append(FLOAT)
    for name in inferred:
        stages[name], raw[name] = _read_stage(contract.input_path(request, "inferred", name + ".npz"), truth)
    model = contract.input_path(request, "converted", "model.tflite")
    stages["tflite_litert"], raw["tflite_litert"], pixels = _run_litert(request, model, truth, len(raw["frozen"][0]))
    contract.emit("progress", stage="metrics", step=0, steps=len(stages) + 1)
    metrics = figures(truth, stages)
    metrics["score_threshold"] = float(request.params["model"]["nms"]["score_threshold"])
    metrics["quantization"] = request.params["quantization"]
    metrics["size"] = os.path.getsize(model)
    metrics["model_digest"] = digest = "sha256:" + contract.sha256_of(model)
    contract.write_json(contract.output_path(request, "metrics.json"), metrics)
    contract.write_json(
        contract.output_path(request, "certificate.json"),
        certificate.document(
            _images(truth), pixels, stages, raw, metrics["stages"], _runtimes(request), request.params, digest
        ),
    )
    steady = _steady(request, model)
    _write_golden(request, steady, truth, digest)
    evaluation_data.write(request, truth, stages, metrics, steady, lambda image_id: _pixels(request, image_id))
    image = overview(request, truth, stages["tflite_litert"], metrics)
    with open(contract.output_path(request, "detections.png"), "wb") as stream:
        stream.write(drawing.png(image))


def figures(truth, stages):
    """The body of metrics.json.

    ``truth``: COCO dict; ``stages``: {name: [(boxes, scores, classes)]}, a picture each in the order of ids.
    """
    oracle, images = coco_metrics.load_truth(truth), _images(truth)
    scored, rows = {}, {}
    for number, (name, answers) in enumerate(sorted(stages.items()), 1):
        rows[name] = [row for image, one in zip(images, answers) for row in coco_metrics.pixel_rows(image, *one)]
        scored[name] = coco_metrics.evaluate(oracle, rows[name])
        contract.emit("progress", stage="metrics", step=number, steps=len(stages) + 1)
    return {
        "stages": scored,
        "operating_point": operating_point.best_f1(oracle, rows["tflite_litert"]),
        "constant_baseline": baseline.constant_answer(truth),
        "degenerate": degenerate.judge(stages["tflite_litert"], truth),
        "images": len(images),
    }


def overview(request, truth, answers, metrics):
    """The first evaluation pictures in the order of their ids (not chosen), detections over annotations."""
    images, tiles, side = _images(truth), [], 320
    shown_from = metrics["operating_point"]["score"]
    for image, (boxes, scores, classes) in list(zip(images, answers))[:SHOWN]:
        picture = Image.fromarray(_pixels(request, image["id"]))
        picture = drawing.fitted(picture, (image["width"], image["height"]), side)
        scale = picture.width / float(image["width"]), picture.height / float(image["height"])
        found = [row["bbox"] for row in truth["annotations"] if row["image_id"] == image["id"]]
        annotated = [(x * scale[0], y * scale[1], (x + w) * scale[0], (y + h) * scale[1]) for x, y, w, h in found]
        kept = scores >= shown_from
        corners = boxes[kept][:, [1, 0, 3, 2]] * ([picture.width, picture.height] * 2)
        labels, names = classes[kept].tolist(), request.params["classes"]
        picture = drawing.draw(drawing.draw_truth(picture, annotated), corners, labels, scores[kept].tolist(), names)
        tiles.append((picture, _shortened(image["file_name"])))
    score = metrics["stages"]["tflite_litert"]
    title = "mAP@0.5 %.3f, mAP %.3f on %d pictures (one constant box: %.3f, %.3f)" % (
        score["map50"], score["map"], metrics["images"],
        metrics["constant_baseline"]["map50"], metrics["constant_baseline"]["map"],
    )  # fmt: skip
    return drawing.sheet(tiles, title + "  |  first %d, score from %.2f; dashed: annotated" % (len(tiles), shown_from))


def _run_litert(request, model, truth, raw_pictures):
    """(answers, raw heads of the first ``raw_pictures``, digests of the pixels) of the .tflite in ai-edge-litert."""
    spec, outputs, order = _described(request)
    isolated.trial(model, spec, order)
    with open(model, "rb") as stream:
        detector = litert.Detector(stream.read(), spec, order, litert.threads_for(outputs, request.threads))
    least = float(request.params["model"]["nms"]["score_threshold"])
    images, answers, heads, digests = _images(truth), [], [], []
    for number, image in enumerate(images, 1):
        pixels = _pixels(request, image["id"])
        if pixels.shape != tuple(spec["shape"][1:]):
            raise contract.Failure(
                "verify-input", "picture %d is %s, the model takes %s" % (image["id"], pixels.shape, spec["shape"])
            )
        digests.append(certificate.pixels_digest(pixels))
        boxes, scores, classes = detector.detect(pixels)
        kept = scores >= np.float32(least)
        answers.append((boxes[kept], scores[kept], classes[kept]))
        if len(heads) < raw_pictures:
            found = detector.raw_heads()
            if found is None:
                raise contract.Failure("model-output", "the model has no %s operator" % litert.POSTPROCESS)
            heads.append(found)
        if number % 20 == 0 or number == len(images):
            contract.emit("progress", stage="ai-edge-litert", step=number, steps=len(images))
    stacked = tuple(np.stack(part) for part in zip(*heads)) if heads else (np.zeros(0), np.zeros(0))
    return answers, stacked, digests


def _steady(request, model):
    """The detector that runs on the kernels that are the same everywhere."""
    spec, _, order = _described(request)
    with open(model, "rb") as stream:
        return litert.Detector(stream.read(), spec, order, 1, golden.kernels_for(request.params["quantization"]))


def _write_golden(request, detector, truth, digest):
    """The first evaluation pictures, not chosen, with what the kernels that are the same everywhere answer."""
    about = {
        "model_digest": digest,
        "kernels": golden.kernels_for(request.params["quantization"]),
        "runtime": dict(litert.runtime(), machine=platform.machine()),
        "score_floor": golden.FLOOR,
    }
    pictures = [(image, _pixels(request, image["id"])) for image in _images(truth)[: golden.PICTURES]]
    golden.write(request, pictures, request.params["classes"], detector, about)


def _described(request):
    """(input description, output description, roles of the output tensors) of the converted model."""
    spec = litert.check_input(contract.read_json(contract.input_path(request, "converted", "input.json")))
    outputs = contract.read_json(contract.input_path(request, "graph", "outputs.json"))
    return spec, outputs, litert.order_of(outputs)


def _read_stage(path, truth):
    """(answers, raw heads) of a stage that ``infer`` ran. Failure if it is not about these pictures."""
    with np.load(path, allow_pickle=False) as arrays:
        ids, count = arrays["image_id"].tolist(), arrays["count"].tolist()
        if ids != [image["id"] for image in _images(truth)]:
            raise contract.Failure("verify-input", "%s and eval.json name different pictures" % os.path.basename(path))
        parts = [arrays[name] for name in ("boxes", "scores", "classes")]
        answers = [tuple(part[row][:number] for part in parts) for row, number in enumerate(count)]
        return answers, (arrays["raw_boxes"], arrays["raw_scores"])


def _images(truth):
    return sorted(truth["images"], key=lambda image: image["id"])


def _pixels(request, image_id):
    path = contract.input_path(request, "inferred", "inputs", "%d.png" % image_id)
    with Image.open(path, formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB"))


def _runtimes(request):
    """Name and version of what ran each stage; ``infer`` says what it used."""
    found = contract.read_json(contract.input_path(request, "inferred", "runtimes.json"))
    return dict(found, tflite_litert=dict(litert.runtime(), numpy=np.__version__))


def _shortened(name, most=38):
    return name if len(name) <= most else name[: most - 1] + "…"
