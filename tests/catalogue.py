"""Releases for a catalogue, made in milliseconds: what the package step would write, around models of random bytes."""

from __future__ import annotations

import io
import json
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from builder.digest import canonical_json, digest_bytes, hex_of
from builder.release import document
from builder.release.layout import Layout
from builder.release.make import RUN_FILE, RUN_TYPE
from builder.release.release import Release
from builder.release.sign import attach_provenance
from builder.resources import steps_folder
from builder.trust.keys import SigningKey
from builder.trust.statement import PROVENANCE, STATEMENT

FLOAT = {"dtype": "float32", "formula": "(pixel - mean) / std"}
UINT8 = {"dtype": "uint8", "formula": "pixels as they are", "scale": 0.007843138, "zero_point": 128}
SHAPES = ("circle", "square", "triangle")
HOSTILE = "<script>alert(1)</script> \"quoted\" 'n' & </table> {{ 7*7 }} ![x](http://example.org/x.png) \u202egnp\x07"


@dataclass(frozen=True)
class Recipe:
    """What a release is to say. ``test_set`` tells evaluation splits apart; ``latency`` in ms, None for none."""

    name: str
    version: str = "1.0.0"
    map: float = 0.5
    size: int = 500_000
    latency: float | None = 1.0
    cpu: str = "AMD EPYC"
    classes: Sequence[str] = SHAPES
    quantization: Mapping[str, Any] = field(default_factory=lambda: {"type": "float32"})
    license: str = "Apache-2.0"
    description: str = "Finds shapes in small drawings."
    authors: Sequence[str] = ("The tests",)
    test_set: str = "drawings"
    curves: bool = False
    right: tuple[float, float] = (0.93, 0.9)
    """Precision and recall at the operating point."""
    day: int = 1


MANY = (
    Recipe("shapes", "1.0.0", 0.601, 1_437_360, 0.142, curves=True),
    Recipe("shapes", "1.1.0", 0.653, 1_437_360, 0.139, curves=True, day=5),
    Recipe("shapes", "2.0.0", 0.641, 1_102_400, 0.131, classes=(*SHAPES, "star"), curves=True, day=9),
    Recipe("shapes", "2.1.0-rc.1", 0.644, 1_102_400, 0.2, cpu="Cortex-A76", classes=(*SHAPES, "star"), day=11),
    Recipe("shapes-int8", "2.0.0", 0.612, 558_032, 0.108, quantization={"type": "int8", "interface": "float32"}),
    Recipe("shapes-uint8", "2.0.0", 0.598, 424_264, 0.097, quantization={"type": "uint8-qat"}),
    Recipe("raccoon-025", "1.0.0", 0.41, 1_431_416, 2.4, classes=("raccoon",), license="MIT", test_set="raccoons"),
    Recipe("raccoon-050", "1.0.0", 0.47, 3_900_100, 5.1, classes=("raccoon",), license="MIT", test_set="raccoons"),
    Recipe("birds", "0.3.1", 0.288, 4_400_000, None, classes=tuple(f"bird {n}" for n in range(80)),
           license="CC-BY-4.0", test_set="birds", curves=True),
    Recipe("Odd_Name+x", "1.0.0+b", 0.0, 900_000, 9.0, classes=("<b>bold</b>", "a & b", "\u202exe"),
           description=HOSTILE, authors=(HOSTILE,), license="javascript:alert(1)", cpu=HOSTILE.replace("\x07", ""),
           test_set="odd"),
)  # fmt: skip


def many(root: Path) -> Layout:
    """A layout with all of ``MANY``: seven models, ten releases."""
    layout = Layout(root)
    for recipe in MANY:
        add(layout, recipe)
    return layout


def add(layout: Layout, recipe: Recipe, key: SigningKey | None = None, **changed: bytes | None) -> Release:
    """Writes the release with run.json and provenance, signed by ``key`` if there is one.

    ``changed``: file titles, with ``_`` for the dot, whose bytes are others, or None to leave them out.
    """
    files = files_of(recipe)
    for word, data in changed.items():
        title = word.replace("_", ".")
        files.pop(title, None)
        if data is not None:
            files[title] = data
    release, _ = layout.add(recipe.name, recipe.version, files, _said(recipe))
    run = canonical_json(_run(recipe)) if recipe.latency is not None else None
    if run is not None:
        layout.attach(release, RUN_TYPE, RUN_FILE, run)
    attach_provenance(layout, release, provenance_of(release, recipe, run), key)
    return release


def files_of(recipe: Recipe) -> dict[str, bytes]:
    """Title -> bytes, as the package step leaves them."""
    chance = random.Random(f"{recipe.name} {recipe.version}")
    model = b"TFL3" + chance.randbytes(recipe.size - 4)
    metrics = _metrics(recipe, digest_bytes(model), chance)
    files = {
        "model.tflite": model,
        "labels.txt": "".join(f"{label}\n" for label in recipe.classes).encode(),
        "metrics.json": canonical_json(metrics),
        "detections.png": _picture(recipe),
    }
    if recipe.curves:
        files["evaluation.json"] = canonical_json(_evaluation(recipe, digest_bytes(model)))
    files["metadata.json"] = canonical_json(_metadata(recipe, metrics, files))
    return files


def _metadata(recipe: Recipe, metrics: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """By the package step's own code."""
    sys.path.insert(0, str(steps_folder()))
    try:
        import package  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(steps_folder()))
    parameters = {
        "name": recipe.name,
        "version": recipe.version,
        "release": {"license": recipe.license, "description": recipe.description, "authors": list(recipe.authors)},
        "model": {"architecture": "ssd_mobilenet_v2", "depth_multiplier": 0.25},
        "quantization": dict(recipe.quantization),
        "classes": list(recipe.classes),
        "dataset_digest": None,
        "toolchains": {name: digest_bytes(name.encode()) for name in ("tf1.15", "litert")},
        "manifest_digest": digest_bytes(recipe.name.encode()),
    }
    source = {
        "name": "normalized_input_image_tensor", "shape": [1, 96, 96, 3], "color": "RGB", "mean": 127.5, "std": 127.5,
        "range": [-1.0, 1.0], "resize": "bilinear-antialias",
        **(UINT8 if recipe.quantization["type"] == "uint8-qat" else FLOAT),
    }  # fmt: skip
    outputs = {
        "box_format": "ymin xmin ymax xmax, normalised",
        "classes": len(recipe.classes),
        "index_base": 0,
        "max_detections": 10,
        "nms": {"iou_threshold": 0.6, "mode": "fast", "score_threshold": 1e-8, "max_classes_per_detection": 1},
        "tensors": [
            {"index": index, "name": f"TFLite_Detection_PostProcess:{index}", "meaning": meaning, "shape": shape,
             "dtype": "float32", "description": f"the {meaning}"}
            for index, (meaning, shape) in enumerate(
                (("boxes", [1, 10, 4]), ("classes", [1, 10]), ("scores", [1, 10]), ("count", [1])))
        ],
    }  # fmt: skip
    split = {
        "train": {"digest": digest_bytes(b"train"), "images": [0] * 2700},
        "eval": {"digest": digest_bytes(recipe.test_set.encode()), "images": [0] * 300},
    }
    listed = {title: {"digest": digest_bytes(data), "size": len(data)} for title, data in files.items()}
    described: dict[str, Any] = package.describe(parameters, source, outputs, metrics, split, listed)
    return described


def _metrics(recipe: Recipe, model: str, chance: random.Random) -> dict[str, Any]:
    def stage(share: float) -> dict[str, Any]:
        names = recipe.classes
        part = {name: {"ap": share, "ap50": min(1.5 * share, 1.0), "ar100": share, "boxes": 100} for name in names}
        return {"map": share, "map50": round(min(1.5 * share, 1.0), 6), "map75": share, "per_class": part}

    low = stage(0.002)
    return {
        "stages": {name: stage(recipe.map) for name in ("frozen", "tflite_litert", "tflite_tf1")},
        "constant_baseline": {**low, "several_boxes": low},
        "operating_point": {"score": round(chance.uniform(0.2, 0.6), 3), "precision": recipe.right[0],
                            "recall": recipe.right[1], "f1": 0.91},
        "degenerate": {"constant_answer": False, "reason": None},
        "quantization": dict(recipe.quantization),
        "images": 300,
        "score_threshold": 1e-8,
        "model_digest": model,
        "size": recipe.size,
    }  # fmt: skip


def _evaluation(recipe: Recipe, model: str) -> dict[str, Any]:
    def curve(number: int) -> dict[str, Any]:
        reach = 99 - number % 7
        falling = [round(1 - (at / 100) ** (2 + number % 5), 4) if at <= reach else None for at in range(101)]
        return {"precision": falling, "score": [None] * 101, "boxes": 100 + number % 3}

    return {
        "format": 1,
        "model_digest": model,
        "iou": 0.5,
        "score": 0.3,
        "precision_recall": {name: curve(number) for number, name in enumerate(recipe.classes)},
        "confusion": {"classes": list(recipe.classes),
                      "counts": [[0] * (len(recipe.classes) + 1)] * (len(recipe.classes) + 1)},
        "pictures": {},
        "shown": [],
        "worst": [],
    }  # fmt: skip


def _run(recipe: Recipe) -> dict[str, Any]:
    latency = {
        "cpu": recipe.cpu, "latency_ms": {"median": recipe.latency, "min": recipe.latency, "p90": recipe.latency},
        "runs": 50, "threads": 2, "runtime": {"name": "ai-edge-litert", "version": "2.3.0"},
    }  # fmt: skip
    return {"latency": latency, "steps": {}}


def provenance_of(release: Release, recipe: Recipe, run: bytes | None) -> dict[str, Any]:
    """A statement about ``release`` that names its ``run``."""
    named = [{"name": RUN_FILE, "digest": {"sha256": hex_of(digest_bytes(run))}}] if run is not None else []
    return {
        "_type": STATEMENT,
        "subject": [{"name": release.ref, "digest": {"sha256": hex_of(release.digest)}}],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "resolvedDependencies": [
                    {"name": "toolchains/tf1.15/image", "digest": {"sha256": hex_of(digest_bytes(b"image"))}}
                ]
            },
            "runDetails": {
                "builder": {"id": "https://builder.example.org/ci", "version": {"tinsmith": "0.1.0"}},
                "metadata": {"invocationId": "1", "startedOn": f"2026-01-{recipe.day:02}T10:00:00Z",
                             "finishedOn": f"2026-01-{recipe.day:02}T10:20:00Z"},
                "byproducts": named,
            },
        },
    }  # fmt: skip


def _said(recipe: Recipe) -> dict[str, str]:
    return {
        document.DESCRIPTION: recipe.description.replace("\x07", ""),
        document.LICENSES: recipe.license,
        document.QUANTIZATION: str(recipe.quantization["type"]),
        document.MANIFEST: digest_bytes(recipe.name.encode()),
        document.PLAN: digest_bytes(recipe.version.encode()),
    }


def _picture(recipe: Recipe) -> bytes:
    """Drawings with boxes, as the verify step makes them."""
    chance = random.Random(recipe.name)
    sheet = Image.new("RGB", (1200, 620), (24, 24, 27))
    pen = ImageDraw.Draw(sheet)
    for number in range(8):
        left, top = 16 + number % 4 * 296, 20 + number // 4 * 300
        pen.rectangle((left, top, left + 280, top + 280), fill=(90, 100, 120))
        x, y, side = left + chance.randrange(20, 150), top + chance.randrange(20, 150), chance.randrange(60, 110)
        colour = ((200, 60, 50), (60, 170, 80), (70, 90, 210))[number % 3]
        corners = [
            (x + side / 2 * (1 + math.cos(turn)), y + side / 2 * (1 + math.sin(turn)))
            for turn in (k * 2 * math.pi / (number % 3 * 9 + 3) for k in range(number % 3 * 9 + 3))
        ]
        pen.polygon(corners, fill=colour)
        pen.rectangle((x, y, x + side, y + side), outline=(255, 220, 60), width=3)
    buffer = io.BytesIO()
    sheet.save(buffer, "png")
    return buffer.getvalue()


def metadata(layout: Layout, release: Release) -> Any:
    return json.loads(layout.read(release, "metadata.json"))
