"""Events as plain lines, for logs: a line where something starts or ends, and progress now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from builder.progress.events import Event

_SECONDS_BETWEEN_PROGRESS = 10.0


class Plain:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last_progress = 0.0

    def show(self, event: Event) -> None:
        if event.kind == "progress" and not self._due(event):
            return
        text = describe(event)
        if text:
            print(f"{event.step:8} {text}", file=self._stream, flush=True)
        if event.kind == "started":
            self._last_progress = 0.0

    def close(self) -> None:
        pass

    def _due(self, event: Event) -> bool:
        last = event.detail.get("step") == event.detail.get("steps")
        if not last and event.time - self._last_progress < _SECONDS_BETWEEN_PROGRESS:
            return False
        self._last_progress = event.time
        return True


def describe(event: Event) -> str | None:
    """One line for ``event``, or None where it is nothing to show, or nothing that could be."""
    try:
        return _described(event)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # of a step whose code comes from outside


def _described(event: Event) -> str | None:
    detail = event.detail
    match event.kind:
        case "cached":
            return "cached"
        case "preparing":
            return f"toolchain {detail['toolchain']}"
        case "started":
            return f"started ({detail['engine']})"
        case "finished":
            return f"done in {duration(detail['seconds'])}"
        case "message":
            return str(detail.get("text") or detail.get("message") or "")
        case "progress":
            return progress_line(detail)
        case _:
            return None


def progress_line(detail: Mapping[str, Any]) -> str:
    """``step 120/900  26.1 images/s  loss 3.412 (…)  lr 0.004  ETA 8m40s``; parts that are absent are left out."""
    parts = []
    if "step" in detail and "steps" in detail:
        parts.append(f"step {detail['step']}/{detail['steps']}")
    elif "done" in detail and "total" in detail:
        parts.append(f"{detail['done']}/{detail['total']} {detail.get('unit', '')}".rstrip())
    if "images_per_second" in detail:
        parts.append(f"{detail['images_per_second']:.1f} images/s")
    if "loss" in detail:
        losses = ", ".join(f"{name} {value:.3f}" for name, value in sorted(detail.get("losses", {}).items()))
        parts.append(f"loss {detail['loss']:.3f}" + (f" ({losses})" if losses else ""))
    if "learning_rate" in detail:
        parts.append(f"lr {detail['learning_rate']:.2g}")
    if "eta_seconds" in detail:
        parts.append(f"ETA {duration(detail['eta_seconds'])}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """``0.4s``, ``12s``, ``8m40s``, ``2h05m``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
