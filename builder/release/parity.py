"""Does a .tflite compute what the graph it was converted from computes, also where neither has learnt anything?

By the raw heads of the certificate, not by detections: nearly equal scores, as untrained weights give them, come in
another order after any rounding.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

CHECK = "frozen graph and .tflite agree"

TOLERANCE = {"float32": 0.01, "float16": 0.1, "dynamic": 0.75, "int8": 0.75, "uint8-qat": 0.75}
"""Most that a head may differ on average, as a share of its values' standard deviation.

Measured on twelve steps of training: float32 0.000, float16 0.02, dynamic up to 0.41, int8 up to 0.49, uint8-qat up to
0.43. Another answer altogether is at 1.1 or more, as far apart as two independent ones are.
"""

_ROUNDED = 1e-4
"""The digits of the certificate."""

_PAIRS = ("frozen:tflite_tf1", "frozen:tflite_litert")
_HEADS = {"box": "box_encodings", "score": "class_scores"}


def misses(certificate: Mapping[str, Any], golden: Mapping[str, Any]) -> list[str]:
    """One line for each runtime and head that differs too much; ``golden`` (expected.json) tells what a head spans.

    Both documents are as the verify step wrote them.
    """
    kind = certificate["quantization"]["type"]
    pairs = certificate["image_sets"]["eval"]["pairs"]
    found = []
    for pair in _PAIRS:
        stage = pair.partition(":")[2]
        if pairs[pair]["raw"] is None:
            found.append(f"{CHECK}: {stage} has heads of another shape")
            continue
        for head, key in _HEADS.items():
            apart = pairs[pair]["raw"][f"mean_raw_{head}_diff"]
            spread = statistics.pstdev(value for row in golden["pictures"] for value in row["raw"][key]["sample"])
            if apart > TOLERANCE[kind] * spread + _ROUNDED:
                found.append(
                    f"{CHECK}: {stage} answers other {head} values, {apart:.4f} apart on average where they vary by "
                    f"{spread:.4f}"
                )
    return found
