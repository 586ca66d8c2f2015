"""The predictions for a manifest, as plain data and as a line of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from builder.predict import predict, training_seconds
from builder.words import roughly

if TYPE_CHECKING:
    from builder.manifest.model import Manifest


def predicted(manifest: Manifest) -> dict[str, Any]:
    """Parameters, multiply-adds, bytes of the .tflite, anchors, and about how many seconds the training takes."""
    whole = manifest.model_dump(mode="json")
    classes = len(manifest.dataset.classes)
    found = asdict(predict(whole["model"], classes, whole["quantization"]))
    seconds = training_seconds(whole["model"], classes, whole["train"], whole["toolchain"])
    return {**found, "training_seconds": round(seconds)}


def in_words(found: Mapping[str, Any]) -> str:
    return (
        f"{found['parameters'] / 1e6:.2f} M parameters, {found['multiply_adds'] / 1e6:,.0f} M multiply-adds a picture, "
        f".tflite of {found['tflite_bytes'] / 1e6:.3f} MB; "
        f"training takes {roughly(found['training_seconds'])} on two cores"
    )
