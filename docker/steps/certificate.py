"""The parity certificate: does the .tflite behave as the graph that was trained, on which pictures, seen by what.

One document (``certificate.json``) for that question; ``metrics.json`` says how good the model is. Nothing here depends
on the machine, and differences are rounded where runtimes begin to differ from processor to processor.
"""

import hashlib

import parity

FORMAT = 1
STAGES = ("frozen", "tflite_tf1", "tflite_litert")
FLOAT = "float"
"""The float graph that a quantization-aware training started from: a fourth stage, where there was one."""

SET = "eval"
"""The one set of pictures that stages are compared on: the evaluation split."""

FIGURES = ("map", "map50", "map75", "ar1", "ar10", "ar100")


def document(images, pixels, stages, raw, scored, runtimes, params, model_digest):
    """The body of certificate.json.

    ``images``: COCO images in the order of ids; ``pixels``: :func:`pixels_digest` of each; ``stages``: {stage: [(boxes,
    scores, classes)]}, a picture each; ``raw``: {stage: (box encodings, class scores)} of the first pictures;
    ``scored``: {stage: figures of the metric oracle}; ``runtimes``: {stage: {"name", "version", ..}}.
    """
    listed = [
        {"id": image["id"], "file_name": image["file_name"], "pixels": digest} for image, digest in zip(images, pixels)
    ]
    model = params["model"]
    return {
        "format": FORMAT,
        "model_digest": model_digest,
        "quantization": params["quantization"],
        "runtimes": runtimes,
        "rules": {
            "score_threshold": float(model["nms"]["score_threshold"]),
            "nms": model["nms"],
            "max_detections": model["max_detections"],
            "matching": parity.RULES,
        },
        "image_sets": {
            SET: {
                "digest": set_digest(listed),
                "images": listed,
                "stages": {stage: {name: found[name] for name in FIGURES} for stage, found in scored.items()},
                "pairs": pairs(stages, raw),
            }
        },
    }


def pairs(stages, raw):
    """{"frozen:tflite_litert": differences} for every two stages that are compared; see ``parity`` for the figures."""
    compared = [STAGES[:2], STAGES[::2], STAGES[1:]]
    if FLOAT in stages:
        compared.append((FLOAT, STAGES[-1]))
    return {
        "%s:%s" % (first, second): dict(
            parity.compare(stages[first], stages[second]), raw=parity.heads(raw[first], raw[second])
        )
        for first, second in compared
    }


def pixels_digest(pixels):
    """Digest of a picture as it is fed to the model: its uint8 values [height, width, 3] in order, before they are
    normalised."""
    return "sha256:" + hashlib.sha256(pixels.tobytes()).hexdigest()


def set_digest(listed):
    """Digest of a set of pictures: over a line ``ID DIGEST`` for each."""
    lines = "".join("%d %s\n" % (image["id"], image["pixels"]) for image in listed)
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
