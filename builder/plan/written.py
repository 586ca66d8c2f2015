"""Summaries as bytes, to be kept or sent: short, and quick to read back.

JSON: [name, version, select, plans], a plan as [name, digest, steps, keys, work, predicted]. ``steps`` are most often
the same for thousands of plans, so they stand in one string, read once: "ingest tf1.15,train tf1.15 ingest,…" is each
step, its toolchain and the steps that it needs. ``keys`` are the hex digits of the steps' keys in the same order, and
``work`` is that of each step.
"""

from __future__ import annotations

import functools
import json
from typing import Any, cast

from builder.digest import Digest, hex_of
from builder.plan.summary import PlanLine, StepLine, Summary

FORMAT = 3
_HEX = 64


def write(summary: Summary) -> bytes:
    """``summary`` as bytes for ``read``."""
    plans = [
        [
            plan.name,
            hex_of(plan.digest),
            _steps(plan),
            "".join(hex_of(step.key) for step in plan.steps),
            [step.work for step in plan.steps],
            plan.predicted,
        ]
        for plan in summary.plans
    ]
    document = [summary.name, summary.version, summary.select, plans]
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read(data: bytes) -> Summary:
    """The summary that ``write`` was given. ValueError or TypeError for other bytes."""
    name, version, select, plans = json.loads(data)
    return Summary(name, version, tuple(map(_plan, plans)), select)


def _steps(plan: PlanLine) -> str:
    return ",".join(" ".join((step.name, step.toolchain, *step.needs)) for step in plan.steps)


def _plan(item: list[Any]) -> PlanLine:
    name, digest, steps, keys, work, predicted = item
    names, toolchains, needs = _read_steps(steps)
    if len(keys) != _HEX * len(names) or len(work) != len(names):
        raise ValueError("a step without its key or work")
    digests = cast(list[Digest], ["sha256:" + keys[at : at + _HEX] for at in range(0, len(keys), _HEX)])
    return PlanLine(
        name, Digest("sha256:" + digest), tuple(map(StepLine, names, toolchains, digests, needs, work)), predicted
    )


@functools.lru_cache(maxsize=1024)
def _read_steps(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Of each step its name, its toolchain and what it needs."""
    words = [step.split(" ") for step in text.split(",")]
    if any(len(step) < 2 for step in words):
        raise ValueError("a step without a toolchain")
    return tuple(step[0] for step in words), tuple(step[1] for step in words), tuple(tuple(step[2:]) for step in words)
