"""Runs the golden pictures of a release again and says whether its model still answers what the release expects.

Everything in the release is untrusted: what cannot be read is a Failure ``golden-…``; a model that does not load, or
answers something else, is a check that failed.
"""

import io
import json
import os
import platform
import zipfile

import contract
import embed
import golden
import isolated
import litert
import numpy as np

SAME = {"score": 1e-3, "iou": 0.98, "raw": 1e-3, "unmatched": 0.05}
"""What may lie between the expected answers and another run of the same LiteRT version on the same kind of machine:
score, least overlap of matched boxes, raw values (share of the largest), share of detections without a match.
Measured between kernels and between processors: 3e-5 at most."""

_FLOAT = {"score": 0.01, "iou": 0.95, "raw": 0.005, "unmatched": 0.1}
_ROUNDED = {"score": 0.05, "iou": 0.55, "raw": 0.1, "unmatched": 0.3}
OTHER = {
    "float32": _FLOAT,
    "float16": _FLOAT,
    "dynamic": _ROUNDED,
    "int8": _ROUNDED,
    "uint8-qat": _ROUNDED,
}
"""The same between versions of LiteRT or kinds of machines, where whole numbers are rounded in other ways. Between
LiteRT's two sets of kernels models of whole numbers were up to 0.024 (score), 0.67 (overlap), 0.031 (raw) and 0.18
(unmatched, of the detections from a score of 0.01) apart, float ones as above."""


def main(request):
    """Writes report.json: ``checks`` [{"name", "ok", "text"}], ``exact`` (the same bits as expected), ``tolerance``,
    ``pictures`` with their worst differences for each set of kernels that was run, and what ran them."""
    folder = request.inputs["release"]
    expected = golden.read(os.path.join(folder, golden.FOLDER))
    metadata, labels = _documents(folder)
    here = dict(litert.runtime(), machine=platform.machine())
    tolerance = tolerance_for(expected, metadata, here)
    checks, rows = [], []
    try:
        _run(request, folder, expected, metadata, labels, tolerance, checks, rows)
    except contract.Failure as failure:
        if not failure.code.startswith("model-"):
            raise
        checks.append({"name": "model", "ok": False, "text": failure.message})
    report = {
        "ok": all(check["ok"] for check in checks),
        "exact": bool(rows) and all(row["exact"] for row in rows if row["kernels"] == expected["kernels"]),
        "checks": checks,
        "pictures": rows,
        "tolerance": tolerance,
        "runtime": here,
        "expected_runtime": expected["runtime"],
    }
    contract.write_json(contract.output_path(request, "report.json"), report)


def _run(request, folder, expected, metadata, labels, tolerance, checks, rows):
    """Loads the model, looks at its input and classes, and runs every golden picture; adds to ``checks`` and ``rows``.

    Once with the kernels that the answers are expected from, where they give the same bits everywhere, and once with
    the default ones, if those are others.
    """
    spec, order = litert.check_input(metadata["input"]), litert.order_of(metadata["outputs"])
    model = os.path.join(folder, "model.tflite")
    isolated.trial(model, spec, order)
    with open(model, "rb") as stream:
        content = stream.read()
    detector = litert.Detector(content, spec, order, 1, expected["kernels"])
    checks.append(_input(detector, spec))
    pictures = [golden.read_picture(os.path.join(folder, golden.FOLDER), row, spec) for row in expected["pictures"]]
    rows += _compared(detector, expected, pictures, labels, expected["kernels"])
    checks.append(_classes(detector, labels, metadata, expected))
    checks.append(_embedded(content, labels, metadata))
    checks.append(judged("golden pictures", rows, tolerance))
    if expected["kernels"] != "default":
        detector = litert.Detector(content, spec, order, litert.threads_for(metadata["outputs"], request.threads))
        more = _compared(detector, expected, pictures, labels, "default")
        checks.append(judged("by the kernels of apps", more, tolerance))
        rows += more


def tolerance_for(expected, metadata, here):
    """The tolerance for answers that were expected from one runtime and come from ``here``."""
    runtime = expected["runtime"]
    if all(runtime.get(name) == here[name] for name in ("name", "version", "machine")):
        return dict(SAME, why="the same runtime")
    kind = str(metadata["quantization"]["type"])
    if kind not in OTHER:
        raise contract.Failure("golden-metadata", "metadata.json names no quantization that is known")
    return dict(OTHER[kind], why="another runtime, %s" % kind)


def judged(name, rows, tolerance):
    """The check that all ``rows`` (differences, a picture each) are within ``tolerance``; its text has the worst."""
    wrong = [row for row in rows if beyond(row, tolerance)]
    matched, unmatched = (sum(row[key] for row in rows) for key in ("matched", "unmatched"))
    share = unmatched / float(matched + unmatched or 1)
    text = "%d detections in %d pictures" % (matched + unmatched, len(rows))
    if all(row["exact"] for row in rows):
        return {"name": name, "ok": True, "text": text + ", the same bits"}
    raws = [row[key] for row in rows for key in ("max_raw_box_diff", "max_raw_score_diff")]
    scores = [row["max_score_diff"] for row in rows if row["max_score_diff"] is not None]
    ious = [row["min_iou"] for row in rows if row["min_iou"] is not None]
    text += ": scores apart by %.4f, boxes overlap by %.4f, %d unmatched, raw values apart by %s" % (
        max(scores or [0.0]), min(ious or [1.0]), unmatched,
        "another shape" if None in raws else "%.6f" % max(raws),
    )  # fmt: skip
    if wrong:
        text += "; beyond tolerance: " + ", ".join(row["picture"] for row in wrong)
    elif share > tolerance["unmatched"]:
        text += "; too many are unmatched"
    return {"name": name, "ok": not wrong and share <= tolerance["unmatched"], "text": text}


def beyond(row, tolerance):
    """Whether one picture's differences are beyond ``tolerance``; unmatched detections are judged over all."""
    raw = (row["max_raw_box_diff"], row["max_raw_score_diff"])
    return (
        not row["labels"]
        or None in raw
        or max(raw) > tolerance["raw"]
        or (row["max_score_diff"] or 0.0) > tolerance["score"]
        or (row["min_iou"] is not None and row["min_iou"] < tolerance["iou"])
    )


def _documents(folder):
    """(metadata.json, lines of labels.txt). Failure ``golden-…`` if they cannot be read."""
    try:
        metadata = contract.read_json(os.path.join(folder, "metadata.json"))
        needed = metadata["input"], metadata["outputs"]["nms"]["mode"], metadata["labels"]["names"]
        needed += (metadata["quantization"]["type"], metadata["name"], metadata["version"])
        with open(os.path.join(folder, "labels.txt"), encoding="utf-8") as stream:
            return metadata, stream.read().splitlines()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise contract.Failure(
            "golden-metadata", "metadata.json or labels.txt cannot be used (%s)" % type(error).__name__
        ) from None


def _compared(detector, expected, pictures, labels, kernels):
    rows = []
    for number, (row, pixels) in enumerate(zip(expected["pictures"], pictures), 1):
        found = golden.record(detector, pixels, labels)
        rows.append(dict(golden.differences(row, found), picture=row["picture"], kernels=kernels))
        contract.emit("progress", stage="golden pictures, %s kernels" % kernels, step=number, steps=len(pictures))
    return rows


def _classes(detector, labels, metadata, expected):
    """labels.txt, metadata.json and the golden answers have the same names in the same order, as many as the model
    scores classes beside the background."""
    told = (("metadata.json", metadata["labels"]["names"]), ("golden/expected.json", expected["labels"]))
    wrong = [name for name, names in told if names != labels]
    scored = detector.raw_heads()[1].shape[-1] - 1
    text = "the model scores %d, labels.txt names %d" % (scored, len(labels))
    if wrong:
        text += "; other labels, or another order, in " + " and ".join(wrong)
    return {"name": "classes", "ok": not wrong and scored == len(labels), "text": text}


def _embedded(content, labels, metadata):
    """What lies inside the .tflite for task libraries is what the release says: its classes, its name and version."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > len(content):
                raise ValueError("files larger than the model")
            names = archive.read(embed.LABELS).decode("utf-8").splitlines()
            origin = json.loads(archive.read(embed.ORIGIN).decode("utf-8"))
        told = [origin[key] for key in ("name", "version")]
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, RecursionError, NotImplementedError, RuntimeError):
        return {"name": "embedded", "ok": False, "text": "the model holds no labels and no release that can be read"}
    wrong = [] if names == labels else ["labels"]
    if told != [metadata["name"], metadata["version"]]:
        wrong.append("release")
    text = "other %s inside the model" % " and ".join(wrong) if wrong else "labels and release inside the model agree"
    return {"name": "embedded", "ok": not wrong, "text": text}


def _input(detector, spec):
    """What metadata.json says of the input's numbers is what the model holds; shape and type were checked on loading.

    A float model holds nothing of its normalisation: there, the golden pictures show whether it is right.
    """
    text = "%s %s" % ("x".join(str(side) for side in spec["shape"]), spec["dtype"])
    scale, zero_point = detector.input_quantization
    mean, std = float(spec["mean"]), float(spec["std"])
    if spec["dtype"] == "float32":
        return {"name": "input", "ok": True, "text": text + ", (pixel - %g) / %g" % (mean, std)}
    text += ", scale %.8g, zero point %d" % (scale, zero_point)
    told = [spec.get(name) for name in ("scale", "zero_point")]
    alike = all(type(value) in (int, float) for value in told) and np.allclose(told, [scale, zero_point], rtol=1e-6)
    levels = np.arange(256)
    gap = np.abs((levels - zero_point) * scale - (levels - mean) / std).max()
    if not alike:
        text += "; metadata.json says %r, %r" % tuple(told)
    elif gap > 1.01 * scale:
        text += "; that is not (pixel - %g) / %g, as metadata.json says" % (mean, std)
    return {"name": "input", "ok": bool(alike and gap <= 1.01 * scale), "text": text}
