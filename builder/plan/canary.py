"""Manifest -> the same chain on a tiny share of the data, in seconds for each step. Pure, like the plan.

What a canary is to find depends on what the steps are given (formats, shapes, labels, weights to start from, kinds of
numbers), so all of that stays as written. What only takes time becomes less: pictures and steps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from builder.lock.model import Lock
from builder.manifest.model import Manifest
from builder.plan.code import StepCode
from builder.plan.make import make_plan
from builder.plan.step import Plan
from builder.predict.training import training_seconds

SUFFIX = "-canary"

_SECONDS = 8.0
"""What a training may take on two cores by TensorFlow's own operations, as quantization-aware ones do in every
toolchain; the kernels take less."""

_STEPS = (4, 12)
"""Fewest and most steps. ``divergence.Losses`` compares means of 20 losses: so few of them can only be not finite."""

_BATCH = (2, 8)
_TRAIN_PICTURES, _EVAL_PICTURES = (16, 48), (8, 24)
_TUNING_STEPS = (2, 6)
_LONGEST_VERSION = 64


@dataclass(frozen=True)
class Sample:
    """Most pictures to train on and to evaluate, and the seed by which they are drawn out of the others."""

    train: int
    eval: int
    seed: int = 1


@dataclass(frozen=True)
class Canary:
    """``manifest`` is what is built of the manifest ``of``, on no more than ``sample`` of its data."""

    of: Manifest
    manifest: Manifest
    sample: Sample

    def plan(self, lock: Lock, code: StepCode) -> Plan:
        """The plan of the canary, from the lock of the manifest that it is of. Errors as for ``make_plan``."""
        return make_plan(self.manifest, lock, code, asdict(self.sample))


def canaries(manifests: Sequence[Manifest]) -> tuple[Canary, ...]:
    """A canary for each of a family's ``manifests``. They share what the variants share: one sample, one training."""
    pictures = min(_pictures(manifest) for manifest in manifests)
    sample = Sample(_within(pictures, _TRAIN_PICTURES), _within(pictures // 2, _EVAL_PICTURES))
    return tuple(Canary(manifest, _reduced(manifest, sample), sample) for manifest in manifests)


def _pictures(manifest: Manifest) -> int:
    """How many pictures can be learnt from in the time there is; the same whatever the quantization."""
    whole = manifest.model_dump(mode="json")
    one = {"progressive": None, "steps": 1, "batch_size": 1}
    plain = {"name": "tf1.12", "image": None}  # which has no kernels
    return int(_SECONDS / training_seconds(whole["model"], len(manifest.dataset.classes), one, plain))


def _reduced(manifest: Manifest, sample: Sample) -> Manifest:
    whole = manifest.model_dump(mode="json")
    whole["version"] = _version(manifest.version)
    pictures = _pictures(manifest)
    train = whole["train"]
    train["batch_size"] = batch = min(train["batch_size"], _within(pictures // _STEPS[1], _BATCH))
    whole["train"] = _training(train, min(train["steps"], _within(pictures // batch, _STEPS)))
    quantization = whole["quantization"]
    if quantization["type"] == "int8":
        quantization["calibration_images"] = min(quantization["calibration_images"], sample.eval // 2)
    if quantization["type"] == "uint8-qat":
        # A step of it takes about twice as long.
        quantization["steps"] = steps = min(quantization["steps"], _within(pictures // batch // 2, _TUNING_STEPS))
        quantization["delay"] = min(quantization["delay"], steps // 2)
    return Manifest.model_validate_json(json.dumps(whole))


def _training(train: dict[str, Any], steps: int) -> dict[str, Any]:
    """``train`` for its first ``steps``: no rate is higher than at the same step of the whole training."""
    whole = train["steps"]
    rate = dict(train["learning_rate"])
    warmup = rate["warmup_steps"]
    if warmup >= steps:
        # The same slope: what warms up over thousands of steps must not jump to its full rate here.
        rate["base"] = rate["base"] * steps / (warmup + 1) or rate["base"]
        rate["warmup_steps"] = steps - 1
    rate["drops"] = _drops(rate["drops"], whole, steps)
    if rate["schedule"] == "steps" and not rate["drops"]:
        rate["schedule"] = "constant"
    progressive = train["progressive"]
    if progressive is not None:
        progressive = {**progressive, "steps": min(progressive["steps"], steps // 2)}
    looks = train["evaluate_every"]
    return {
        **train,
        "steps": steps,
        "learning_rate": rate,
        "progressive": progressive,
        # One look and one checkpoint, at the end. A single look ends no training and finds none of them dead.
        "evaluate_every": None if looks is None else steps,
        "checkpoint_every": steps,
    }


def _drops(drops: Sequence[dict[str, Any]], whole: int, steps: int) -> list[dict[str, Any]]:
    """``drops`` at the same shares of the training, each at a step of its own, as far as there are steps."""
    found: list[dict[str, Any]] = []
    for drop in drops:
        step = max(drop["step"] * steps // whole, found[-1]["step"] + 1 if found else 1)
        if step < steps:
            found.append({**drop, "step": step})
    return found


def _version(version: str) -> str:
    """Of a version ``1.0.0`` the pre-release ``1.0.0-canary``, which no app takes for it."""
    marked = version + SUFFIX
    return marked if len(marked) <= _LONGEST_VERSION else "0.0.0" + SUFFIX


def _within(number: int, limits: tuple[int, int]) -> int:
    least, most = limits
    return max(least, min(most, number))
