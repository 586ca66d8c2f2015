"""Where a training ran and what came of it: what is worth knowing when two of them gave other bytes."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.engine.request import threads_of
from builder.plan.step import Step
from builder.release.figures import RELEASED


@dataclass(frozen=True)
class Conditions:
    """What the bytes of a training may depend on; ``any_threads``: with kernels they do not depend on their number."""

    cpu_class: str
    threads: int
    any_threads: bool
    cpu: str

    def __str__(self) -> str:
        threads = f"{self.threads} threads" + (" (any number gives the same)" if self.any_threads else "")
        return f"CPU class {self.cpu_class}, {threads}, {self.cpu}"


def conditions(step: Step) -> Conditions:
    """Those under which ``step``, a training, runs on this machine."""
    return Conditions(
        cpu_class=str(step.params.get("cpu_class", "unknown")),
        threads=threads_of(step),
        any_threads=step.threads is None,
        cpu=cpu_name(),
    )


def cpu_name() -> str:
    """What this machine's processor is called."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def accuracy(metrics: bytes) -> tuple[float, float] | None:
    """(mAP, mAP@0.5) of the released .tflite in ``metrics``, the bytes of a metrics.json; None if it does not say."""
    try:
        stage = json.loads(metrics)["stages"][RELEASED]
        return float(stage["map"]), float(stage["map50"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def released_on(run: Mapping[str, Any] | None) -> str | None:
    """The processor and engine that a release's facts of its run name; None if they do not."""
    try:
        assert run is not None
        cpu, engine = str(run["latency"]["cpu"]), str(run["steps"]["train"]["engine"])
    except (AssertionError, KeyError, TypeError):
        return None
    return f"{cpu}, engine {engine}" if (cpu + engine).isprintable() and len(cpu + engine) < 200 else None
