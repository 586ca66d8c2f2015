"""Figures in words, for every view."""

from __future__ import annotations

from builder.progress.ahead import Left
from builder.progress.figures import Figures
from builder.words import roughly


def progress_line(found: Figures, name: str = "") -> str:
    """``step 120/900  26.1 images/s  loss 3.412 (…)  lr 0.004  ETA 8m40s``; parts that are absent are left out.

    ``name``: of the step, which need not be said twice.
    """
    parts = []
    if stage := stage_of(found, name):
        parts.append(stage)
    if found.total or found.done:
        what = "" if found.unit else "step "
        parts.append(f"{what}{found.done}/{found.total} {found.unit}".rstrip())
    if found.images_per_second is not None:
        parts.append(f"{found.images_per_second:.1f} images/s")
    if found.loss is not None:
        losses = losses_of(found)
        parts.append(f"loss {loss_of(found)}" + (f" ({losses})" if losses else ""))
    if found.learning_rate is not None:
        parts.append(f"lr {found.learning_rate:.2g}")
    if found.eta_seconds is not None:
        parts.append(f"ETA {duration(found.eta_seconds)}")
    return "  ".join(parts)


def stage_of(found: Figures, name: str) -> str:
    """The stage, unless it says no more than the step's ``name`` does: ``training`` of ``train``."""
    return "" if name and found.stage.startswith(name) else found.stage


def loss_of(found: Figures) -> str:
    return "" if found.loss is None else _decimal(found.loss)


def losses_of(found: Figures) -> str:
    return ", ".join(f"{name} {_decimal(value)}" for name, value in found.losses)


def left_of(left: Left) -> str:
    return f"{roughly(left.seconds)} of training left" if left.training_only else f"{roughly(left.seconds)} left"


def workers_of(count: int) -> str:
    return "waiting for workers" if not count else f"on {count} worker{'s' if count > 1 else ''}"


def _decimal(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1e5 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """``0.4s``, ``12s``, ``8m40s``, ``2h05m``."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
