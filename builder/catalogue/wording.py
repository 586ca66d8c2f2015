"""Figures as pages write them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.catalogue.facts import shown
from builder.report.formats import Latency


def megabytes(size: int) -> str:
    return f"{size / 1e6:.3f} MB"


def kilobytes(size: int) -> str:
    """Of a file to download."""
    return f"{size:,} B" if size < 10_000 else f"{size / 1e3:,.0f} kB" if size < 1_000_000 else megabytes(size)


def milliseconds(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"


def machine(latency: Latency | None) -> str:
    """What a latency was measured on; nothing for none."""
    if latency is None:
        return ""
    return f"{shown(latency.cpu)}, {latency.threads} thread{'s' if latency.threads != 1 else ''}"


def share(value: float) -> str:
    """Of mAP and the like; a dash for what COCO's metrics have no figure of."""
    return "–" if value < 0 else f"{value:.3f}"


def some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


@dataclass(frozen=True)
class Delta:
    """``text`` with its sign; ``look`` is good, bad or soft."""

    text: str
    look: str


def delta(
    change: float | None, form: str, unit: str = "", *, more_is_better: bool, least: float, noise: float = 0.0
) -> Delta | None:
    """None where there is nothing to compare with. A change below ``least`` is none, below ``noise`` it says little."""
    if change is None:
        return None
    if abs(change) < least:
        return Delta("±0", "soft")
    look = "soft" if abs(change) < noise else "good" if (change > 0) == more_is_better else "bad"
    return Delta(f"{'+' if change > 0 else '−'}{format(abs(change), form)}{unit}", look)
