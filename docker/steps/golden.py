"""Golden pictures: a few evaluation pictures as the model sees them, with what it answered, to be run again anywhere.

They lie in the release: ``golden/1.png`` ... and ``golden/expected.json``. What was expected is untrusted when it is
read again, by ``recheck``: sizes are bounded, and every value is looked at before it is used.
"""

import hashlib
import io
import os

import certificate
import contract
import drawing
import litert
import numpy as np
import parity
from PIL import Image

FORMAT = 1
PICTURES = 8
FOLDER = "golden"
EXPECTED = "expected.json"

FLOOR = parity.FLOOR / 2
"""Least score of an expected detection: those that ``parity.compare`` looks at, on either side."""

SAMPLE = 64
"""How many raw values of a head travel with a picture, evenly spaced over all of them."""

MAX_PNG = 64 << 20
MAX_JSON = 16 << 20
MAX_PICTURES = 64
MAX_DETECTIONS = 1000

_PLAIN = ("float32", "float16")
_HEADS = ("box_encodings", "class_scores")


def kernels_for(quantization):
    """Which kernels of LiteRT, on one thread, answer with the same bits on every x86-64 processor.

    Measured on AVX-512, and on emulated processors of Intel and AMD with AVX2: the plain ones for floats, XNNPACK's
    for whole numbers. In dynamic quantization XNNPACK's differ in the last bit, and the plain ones compute something
    else.
    """
    return "plain" if quantization["type"] in _PLAIN else "default"


def write(request, pictures, names, detector, about):
    """Writes the golden files: ``pictures`` are [(COCO image, uint8 pixels)], the first PICTURES of the split.

    ``detector`` runs on the kernels of :func:`kernels_for`; ``about`` is what else the document says.
    """
    rows = []
    for number, (image, pixels) in enumerate(pictures, 1):
        row = dict(record(detector, pixels, names), picture="%d.png" % number)
        rows.append(dict(row, id=image["id"], file_name=image["file_name"]))
        with open(contract.output_path(request, FOLDER, row["picture"]), "wb") as stream:
            stream.write(drawing.png(Image.fromarray(pixels)))
    contract.write_json(
        contract.output_path(request, FOLDER, EXPECTED), dict(about, format=FORMAT, labels=names, pictures=rows)
    )


def record(detector, pixels, names):
    """What the model answers to a picture: its detections from FLOOR on, best first, and its raw heads in short."""
    boxes, scores, classes = detector.detect(pixels)
    heads = detector.raw_heads()
    if heads is None:
        raise contract.Failure("model-output", "the model has no %s operator" % litert.POSTPROCESS)
    detections = [
        {"label": name_of(names, label), "class": int(label), "score": _exact(score), "box": [_exact(v) for v in box]}
        for box, score, label in zip(boxes, scores, classes)
        if score >= FLOOR
    ]
    return {
        "pixels": certificate.pixels_digest(pixels),
        "detections": detections,
        "raw": {name: _summary(values) for name, values in zip(_HEADS, heads)},
    }


def name_of(names, label):
    """The name of the class with index ``label``."""
    return names[label] if 0 <= label < len(names) else "class %d" % label


def differences(expected, found):
    """How far two records of one picture are apart.

    ``exact``: detections and raw heads are the same bits; else as ``parity.compare``, with ``max_raw_box_diff`` and
    ``max_raw_score_diff`` (shares of the largest expected value; None if the heads have other shapes) and ``labels``:
    whether each detection that was found again has the name that was expected.
    """
    apart = parity.compare([_arrays(expected)], [_arrays(found)])
    named = {row["class"]: row["label"] for row in found["detections"]}
    apart["labels"] = all(named.get(row["class"], row["label"]) == row["label"] for row in expected["detections"])
    for name, key in zip(_HEADS, ("max_raw_box_diff", "max_raw_score_diff")):
        apart[key] = _raw_difference(expected["raw"][name], found["raw"][name])
    apart["exact"] = all(expected[name] == found[name] for name in ("detections", "raw"))
    return apart


def read(folder):
    """The content of expected.json in ``folder``. Failure ``golden-expected`` if it is not of the form written here."""
    path = os.path.join(folder, EXPECTED)
    try:
        if os.path.getsize(path) > MAX_JSON:
            raise ValueError("it is too large")
        document = contract.read_json(path)
        _check(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = "%s: %s" % (type(error).__name__, str(error)[:200])
        raise contract.Failure("golden-expected", "golden/expected.json cannot be used (%s)" % reason) from None
    return document


def read_picture(folder, row, spec):
    """The pixels of a golden picture, uint8 [height, width, 3]. Failure ``golden-picture`` if they are other ones."""
    path = os.path.join(folder, row["picture"])
    _, height, width, _ = spec["shape"]
    try:
        if os.path.getsize(path) > MAX_PNG:
            raise ValueError("it is too large")
        with open(path, "rb") as stream, Image.open(io.BytesIO(stream.read()), formats=["PNG"]) as image:
            # Known before anything is decoded.
            if image.mode != "RGB" or image.size != (width, height):
                raise ValueError("it is %s of %d x %d" % ((image.mode,) + image.size))
            pixels = np.asarray(image, np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise _bad_picture(row, str(error)[:200]) from None
    if certificate.pixels_digest(pixels) != row["pixels"]:
        raise _bad_picture(row, "its pixels are not those that expected.json tells of")
    return pixels


def _bad_picture(row, reason):
    return contract.Failure("golden-picture", "golden/%s cannot be used (%s)" % (row["picture"], reason))


def _check(document):
    """ValueError, KeyError or TypeError unless ``document`` has all that a check reads, in the right types."""
    _require(document["format"] == FORMAT, "it has another format")
    _require(document["kernels"] in litert.KERNELS, "it names unknown kernels")
    _require(isinstance(document["runtime"]["version"], str), "it names no runtime")
    labels = document["labels"]
    _require(isinstance(labels, list) and all(isinstance(name, str) for name in labels), "labels")
    rows = document["pictures"]
    _require(isinstance(rows, list) and 0 < len(rows) <= MAX_PICTURES, "number of pictures")
    for number, row in enumerate(rows, 1):
        _require(row["picture"] == "%d.png" % number, "names of pictures")
        _require(isinstance(row["pixels"], str), "pixels")
        _require(isinstance(row["detections"], list) and len(row["detections"]) <= MAX_DETECTIONS, "detections")
        for found in row["detections"]:
            label = found["class"]
            _require(type(label) is int and abs(label) < 1 << 31, "class of a detection")
            _require(found["label"] == name_of(labels, label), "label of a detection")
            _require(len(found["box"]) == 4 and _finite(found["box"] + [found["score"]]), "numbers of a detection")
        for name in _HEADS:
            head = row["raw"][name]
            _require(isinstance(head["digest"], str) and len(head["sample"]) <= SAMPLE, "raw values")
            _require(_finite(head["sample"] + [head["largest"]]) and head["largest"] >= 0, "raw values")
            _require(all(type(side) is int for side in head["shape"]), "raw values")


def _require(holds, what):
    if not holds:
        raise ValueError(what)


def _finite(values):
    return all(type(value) in (int, float) and abs(value) < 1e9 for value in values)


def _arrays(row):
    rows = row["detections"]
    return (
        np.array([found["box"] for found in rows], np.float64).reshape(-1, 4),
        np.array([found["score"] for found in rows], np.float64),
        np.array([found["class"] for found in rows], np.int64),
    )


def _summary(values):
    flat = np.ascontiguousarray(values, "<f4").reshape(-1)
    return {
        "shape": [int(side) for side in values.shape],
        "digest": "sha256:" + hashlib.sha256(flat.tobytes()).hexdigest(),
        "largest": _exact(np.abs(flat).max()) if flat.size else 0.0,
        "sample": [_exact(value) for value in flat[_places(flat.size)]],
    }


def _places(size):
    """Indices of the sample in a head of ``size`` values."""
    return np.linspace(0, size - 1, min(size, SAMPLE)).astype(np.int64) if size else np.zeros(0, np.int64)


def _raw_difference(expected, found):
    if expected["shape"] != found["shape"] or len(expected["sample"]) != len(found["sample"]):
        return None
    gap = np.abs(np.array(expected["sample"]) - np.array(found["sample"]))
    return round(float(gap.max()) / max(expected["largest"], 1e-6), 6) if gap.size else 0.0


def _exact(value):
    """A float32 in the fewest digits that give it back."""
    return float(str(np.float32(value)))
