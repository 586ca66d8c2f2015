"""What a model will cost, known from its manifest before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.predict.network import build
from builder.predict.size import tflite_bytes
from builder.predict.training import training_seconds


@dataclass(frozen=True)
class Prediction:
    """``parameters``: trained numbers, batch norm's gamma and beta included. ``multiply_adds``: of all convolutions for
    one picture, biases, batch norm and post-processing not counted, as the papers count. ``tflite_bytes``: of the
    .tflite, whose filters and biases have batch norm folded in. ``anchors``: boxes that are scored in each picture.
    """

    parameters: int
    multiply_adds: int
    tflite_bytes: int
    anchors: int


def predict(model: Mapping[str, Any], classes: int, quantization: Mapping[str, Any]) -> Prediction:
    """The cost of a manifest's ``model`` and ``quantization`` sections, defaults filled in, for ``classes`` classes.

    Parameters, multiply-adds and anchors are exact, bytes within 1 % (tests/integration/test_prediction.py).
    """
    network = build(model, classes)
    return Prediction(
        parameters=network.parameters,
        multiply_adds=network.multiply_adds,
        tflite_bytes=tflite_bytes(network, quantization),
        anchors=network.anchors,
    )


__all__ = ["Prediction", "predict", "training_seconds"]
