"""Runs a released model on pictures and draws what it finds, at the pictures' full size."""

import io
import os

import contract
import dataset
import drawing
import isolated
import litert
import numpy as np
import pictures
from PIL import Image


def main(request):
    """Writes a PNG for each picture of the input folder, and detections.json.

    detections.json: [{"picture": name of the PNG, "source": file name, "width", "height",
    "detections": [{"label", "class", "score", "box": [left, top, right, bottom]}]}] in the order of file names;
    boxes in pixels of the upright picture, best first.
    """
    metadata = contract.read_json(contract.input_path(request, "release", "metadata.json"))
    threshold = _threshold(request.params["threshold"], metadata)
    with open(contract.input_path(request, "release", "labels.txt"), encoding="utf-8") as stream:
        names = stream.read().splitlines()
    detector = _load(request, metadata)
    files = sorted(os.listdir(contract.input_path(request, "pictures")))
    results = []
    for number, (name, target) in enumerate(zip(files, drawn_names(files)), 1):
        image = _open(contract.input_path(request, "pictures", name), name)
        found = _find(detector, image, threshold, names)
        drawn = drawing.draw(
            image,
            [row["box"] for row in found],
            [row["class"] for row in found],
            [row["score"] for row in found],
            names,
        )
        with open(contract.output_path(request, target), "wb") as stream:
            stream.write(drawing.png(drawn))
        results.append(
            {"picture": target, "source": name, "width": image.width, "height": image.height, "detections": found}
        )
        contract.emit("progress", stage="detect", step=number, steps=len(files))
    contract.write_json(contract.output_path(request, "detections.json"), results)


def drawn_names(files):
    """The name of each file's drawing: its own with .png, or with .png added where two would be the same."""
    stems = [os.path.splitext(name)[0] for name in files]
    taken = [stem.lower() for stem in stems]
    return [
        (stem if taken.count(stem.lower()) == 1 and stem not in files else name) + ".png"
        for stem, name in zip(stems, files)
    ]


def _threshold(wanted, metadata):
    """The score asked for, else the one that the release advises."""
    if wanted is not None:
        return float(wanted)
    try:
        return float(metadata["operating_point"]["score"])
    except (KeyError, TypeError, ValueError):
        raise contract.Failure(
            "model-output", "metadata.json of the release advises no score", "give one with --threshold"
        ) from None


def _load(request, metadata):
    if not isinstance(metadata, dict) or "input" not in metadata or "outputs" not in metadata:
        raise contract.Failure("model-input", "metadata.json of the release describes no input and outputs")
    spec, order = litert.check_input(metadata["input"]), litert.order_of(metadata["outputs"])
    model = contract.input_path(request, "release", "model.tflite")
    isolated.trial(model, spec, order)
    with open(model, "rb") as stream:
        return litert.Detector(stream.read(), spec, order, litert.threads_for(metadata["outputs"], request.threads))


def _open(path, name):
    """The picture as upright RGB. Failure if it is no JPEG or PNG that can be decoded safely."""
    try:
        with open(path, "rb") as stream:
            loaded = pictures.load(stream.read(pictures.MAX_BYTES + 1), name)
    except dataset.Rejected as error:
        raise contract.Failure("dataset-picture", "%s: %s" % (name, error), "give JPEG or PNG pictures") from None
    return Image.open(io.BytesIO(loaded.encoded), formats=pictures.FORMATS).convert("RGB")


def _find(detector, image, threshold, names):
    boxes, scores, classes = detector.detect(litert.input_pixels(image, detector.spec))
    size = np.array([image.width, image.height] * 2, np.float64)
    found = []
    for box, score, label in zip(boxes, scores, classes):
        if score < threshold:
            continue
        corners = np.clip(box.astype(np.float64)[[1, 0, 3, 2]], 0.0, 1.0) * size
        found.append(
            {
                "label": names[label] if 0 <= label < len(names) else "class %d" % label,
                "class": int(label),
                "score": round(float(score), 6),
                "box": [round(float(side), 2) for side in corners],
            }
        )
    return found
