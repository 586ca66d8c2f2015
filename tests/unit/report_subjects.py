"""Subjects of reports in memory, with every document that a release can have and texts of one's choice."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from builder.digest import digest_bytes
from builder.report.subject import Subject

HOSTILE = (
    "<script>alert(1)</script>|`tick` @octocat #1 https://evil.example/ **b** $x_{2$ \\| \"q\" 'a' \u202e\r\n| x |"
)
"""Whatever breaks a page, a table, a chart or a terminal, in one text."""
MODEL = b"TFL3 a model"


def png(width: int = 4, height: int = 4, colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "png")
    return buffer.getvalue()


def stage(value: float, labels: list[str]) -> dict[str, Any]:
    each = {"ap": value, "ap50": value, "ar100": value, "boxes": 5}
    figures = dict.fromkeys(("map", "map50", "map75", "ar1", "ar10", "ar100"), value)
    return {**figures, "per_class": dict.fromkeys(labels, each)}


def documents(
    labels: list[str] | None = None, text: str = "one.jpg", value: float = 0.9, size: int = len(MODEL)
) -> dict[str, Any]:
    """The JSON documents of a release, by title, with ``text`` wherever somebody outside may write one."""
    labels = ["circle", "square"] if labels is None else labels
    digest = digest_bytes(MODEL)
    stages = {name: stage(value, labels) for name in ("frozen", "tflite_tf1", "tflite_litert")}
    split = {"digest": "sha256:" + "5" * 64, "images": 20}
    curve = {"precision": [1.0] * 60 + [0.5] * 20 + [0.0] * 21, "score": [0.8] * 80 + [None] * 21, "boxes": 5}
    found = {"box": [0.1, 0.2, 0.5, 0.6], "score": 0.87, "class": 0}
    picture = {
        "file_name": text, "width": 300, "height": 200, "picture": "golden/1.png",
        "annotated": [{"box": [0.1, 0.2, 0.5, 0.6], "class": 0}], "frozen": [found], "tflite_litert": [found],
    }  # fmt: skip
    other = {**picture, "picture": "evaluation/17.png", "tflite_litert": [{**found, "class": 1}]}
    return {
        "metrics.json": {
            "stages": stages,
            "constant_baseline": {**stage(0.1, labels), "several_boxes": stage(0.2, labels)},
            "degenerate": {"constant_answer": False, "reason": None},
            "operating_point": {"score": 0.3, "precision": 0.9, "recall": 0.8},
            "quantization": {"type": "float32"},
            "images": 20,
            "size": size,
            "model_digest": digest,
        },
        "metadata.json": {
            "license": text,
            "description": text,
            "authors": [text],
            "architecture": {"name": "ssd_mobilenet_v2"},
            "input": {"shape": [1, 96, 96, 3], "dtype": "float32"},
            "labels": {"names": labels},
            "dataset": {"digest": "sha256:" + "1" * 64, "splits": {"eval": split, "train": split}},
            "toolchains": {"litert": "sha256:" + "2" * 64, "tf1.15": "sha256:" + "3" * 64},
        },
        "evaluation.json": {
            "format": 1,
            "model_digest": digest,
            "iou": 0.5,
            "score": 0.3,
            "precision_recall": dict.fromkeys(labels, curve),
            "confusion": {
                "classes": labels,
                "counts": [[3 * row + column for column in range(len(labels) + 1)] for row in range(len(labels) + 1)],
            },
            "pictures": {"1": picture, "17": other},
            "shown": [1],
            "worst": [{"id": 17, "missed": 0, "wrong": 1, "extra": 2}],
        },
        "training.json": {
            "format": 1,
            "stages": [
                {
                    "step": "train",
                    "steps": 800,
                    "weights_of_step": 700,
                    "curves": {
                        "loss": [[1, 3.0], [400, 1.0], [800, 0.5]],
                        "learning_rate": [[1, 0.0001], [800, 0.003]],
                        "map": [[800, 0.5]],
                        "map50": [[800, 0.9]],
                    },
                }
            ],
        },
        "certificate.json": {
            "runtimes": {"frozen": {"name": "tensorflow", "version": "1.15.5"}},
            "image_sets": {
                "eval": {"pairs": {"frozen:tflite_litert": {"matched": 30, "unmatched": 1, "max_box_diff": 0.01}}}
            },
        },
    }


def run(cpu: str = "AMD EPYC", median: float = 1.5, **keys: str) -> dict[str, Any]:
    """run.json; ``keys``: those of steps."""
    steps = {"train": "sha256:t", "ingest": "sha256:i", "package": "sha256:p"} | keys
    return {
        "latency": {"cpu": cpu, "threads": 2, "latency_ms": {"median": median, "p90": 2.0}, "peak_memory_mb": 50.0},
        "steps": {name: {"key": key, "engine": "local", "seconds": 61.5} for name, key in steps.items()},
    }  # fmt: skip


def ingested(*rejected: tuple[str, str]) -> Callable[[], bytes]:
    """What ingest reported: (file, reason) of each rejected picture."""
    found = [{"file": file, "reason": reason} for file, reason in rejected]
    return lambda: json.dumps({"images": 50, "rejected": found, "clipped": []}).encode()


def manifest(**sections: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"name": "shapes", "train": {"steps": 800}, "verify": {"min_map50": 0.5, "max_size": 1000}}
    return {**whole, "dataset": {"format": "voc", "source": {"name": "drawings"}}, **sections}


def subject(
    *,
    changes: Mapping[str, Any] | None = None,
    without: tuple[str, ...] = (),
    files: Mapping[str, bytes] | None = None,
    labels: list[str] | None = None,
    text: str = "one.jpg",
    value: float = 0.9,
    **fields: Any,
) -> Subject:
    """A released subject. ``changes``: title -> another document; ``files``: title -> bytes; ``fields``: of Subject."""
    made = copy.deepcopy(documents(labels, text, value)) | dict(changes or {})
    held = {title: json.dumps(document).encode() for title, document in made.items()}
    held |= {"model.tflite": MODEL, "golden/1.png": png(), "evaluation/17.png": png(colour="blue"), **(files or {})}
    held = {title: data for title, data in held.items() if title not in without}
    known: dict[str, Any] = {
        "name": "shapes", "version": "1.1.0", "digest": digest_bytes(b"a release"), "manifest": manifest(),
        "plan": "sha256:" + "4" * 64, "order": ("ingest", "train", "package"), "run": run(),
        "misses": (), "cached": frozenset({"ingest"}),
    }  # fmt: skip
    return Subject(
        files={title: (digest_bytes(data), len(data)) for title, data in held.items()},
        read=held.__getitem__,
        **(known | fields),
    )
