"""What a build measured of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.store.base import StepResult, Store

RELEASED = "tflite_litert"
"""The stage whose figures are the release's: the .tflite in the runtime of phones."""


@dataclass(frozen=True)
class Figures:
    """Verify's ``metrics`` and measure's ``latency``, as these steps wrote them."""

    metrics: Mapping[str, Any]
    latency: Mapping[str, Any]

    @property
    def released(self) -> Mapping[str, float]:
        """map, map50, ar100 ... of the released .tflite."""
        stage: Mapping[str, float] = self.metrics["stages"][RELEASED]
        return stage


def figures_of(results: Mapping[str, StepResult], store: Store) -> Figures:
    """The figures of a finished build. IntegrityError as for ``Store.read``."""

    def document(step: str, path: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(store.read(results[step].artifact(path).digest))
        return value

    return Figures(document("verify", "metrics.json"), document("measure", "latency.json"))
