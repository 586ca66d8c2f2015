"""About how long a training takes, known from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.predict.network import build

_NUMBERS_A_SECOND = 130e6
"""Numbers that convolutions answer, learnt from in a second.

Training is bound by memory, not by multiplications: measured with tensorflow 1.15.5 on two cores, nine networks from
depth 0.1 to 1.4 and 96x96 to 300x300, SSDLite among them, are within 15 % of one such rate, while their multiply-adds a
second differ by a factor of 3.
"""

_GAINED_BY_KERNELS = 3.5
"""Where a toolchain has the training kernels."""


def training_seconds(
    model: Mapping[str, Any], classes: int, train: Mapping[str, Any], toolchain: Mapping[str, Any]
) -> float:
    """Seconds of a manifest's ``train`` section on two cores with nothing else to do: within a factor of 2.

    Its sections have their defaults filled in. Steps of a progressive phase count at their own input size. Reading the
    data, evaluation and quantization-aware fine-tuning are not counted.
    """
    small = train["progressive"]
    early = small["steps"] if small else 0
    numbers = (train["steps"] - early) * build(model, classes).answered
    if small:
        numbers += early * build({**model, "input_shape": small["input_shape"]}, classes).answered
    kernels = toolchain["name"] == "tf1.15" and toolchain["image"] is None
    rate = _NUMBERS_A_SECOND * (_GAINED_BY_KERNELS if kernels else 1)
    return float(numbers * train["batch_size"] / rate)
