"""How much work a step is, from its parameters alone: its seconds grow about linearly with it.

The unit is each step's own, so that work is compared only between steps of one name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from builder.plan.step import Step, Toolchain
from builder.predict.network import Network, build
from builder.predict.training import training_seconds

UNKNOWN = 0.0
"""Work of which the parameters say nothing, or that is always the same."""

_EXACT = 6
"""Significant digits: enough, and short where there are thousands."""

_NO_KERNELS: Mapping[str, Any] = MappingProxyType({"name": "", "image": None})


def work(step: Step) -> float:
    """The size of ``step``; UNKNOWN for what is constant, or for data whose number of pictures is known only later."""
    size = _SIZES.get(step.module)
    if size is None:
        return UNKNOWN
    try:
        return float(f"{size(step.params, step.toolchain):.{_EXACT}g}")
    except (KeyError, TypeError, ValueError, AttributeError):
        return UNKNOWN  # the parameters of another tinsmith, from an old recipe: no reason to fail


def _trained(params: Mapping[str, Any], toolchain: Toolchain) -> float:
    """Seconds on two cores, as predicted."""
    where = {"name": toolchain.name, "image": toolchain.image}
    return training_seconds(params["model"], len(params["classes"]), params["train"], where)


def _tuned(params: Mapping[str, Any], toolchain: Toolchain) -> float:
    """As for a training; the kernels do not round, so TensorFlow's own operations are at work."""
    train = {**params["train"], "steps": params["quantization"]["steps"], "progressive": None}
    return training_seconds(params["model"], len(params["classes"]), train, _NO_KERNELS)


def _drawn(params: Mapping[str, Any], _: Toolchain) -> float:
    """Thousands of pictures."""
    drawings = params["dataset"].get("synthetic")
    return float(drawings["images"]) / 1000 if drawings else UNKNOWN


def _sampled(params: Mapping[str, Any], _: Toolchain) -> float:
    """Thousands of pictures that are opened; all annotations are read, of which the number is not known."""
    return float(sum(params["sample"].values())) / 1000


def _exported(params: Mapping[str, Any], _: Toolchain) -> float:
    """Layers, as graphs are made and rewritten one operation at a time."""
    return len(_network(params).convolutions)


def _computed(params: Mapping[str, Any], _: Toolchain) -> float:
    """Thousand million multiply-adds for one picture."""
    return _network(params).multiply_adds / 1e9


def _calibrated(params: Mapping[str, Any], toolchain: Toolchain) -> float:
    """Millions of parameters to convert, and what calibration computes for its pictures."""
    pictures = float(params["quantization"].get("calibration_images", 0))
    return _network(params).parameters / 1e6 + pictures * _computed(params, toolchain)


def _network(params: Mapping[str, Any]) -> Network:
    # What convert is not told, the number of classes, changes only the last layers.
    return build(params["model"], len(params.get("classes", ("one",))))


_SIZES: Mapping[str, Callable[[Mapping[str, Any], Toolchain], float]] = {
    "ingest": _drawn,
    "ingest_sample": _sampled,
    "train": _trained,
    "qat": _tuned,
    "export": _exported,
    "convert": _calibrated,
    "infer": _computed,
    "verify": _computed,
    "measure": _computed,
}
"""By module; embed and package copy files."""
