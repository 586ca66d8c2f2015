"""Figures in words: the same ones on pages and in Markdown. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MINUS = "\N{MINUS SIGN}"
LONGEST_VALUE = 120
MOST_REJECTED = 5
"""Rejected pictures that are named."""

STAGES = {
    "float": "float graph, before rounding was trained",
    "frozen": "trained graph (frozen)",
    "tflite_tf1": ".tflite in TensorFlow 1",
    "tflite_litert": ".tflite in LiteRT",
}
"""What the stages of a build are called."""


def stage(name: str) -> str:
    return STAGES.get(name, name)


def share(value: float) -> str:
    """A figure between 0 and 1."""
    return _signed(f"{value:.3f}")


def size(value: float) -> str:
    """Bytes, in decimal units: MB from a tenth of one on, so that models beside each other have one unit."""
    for least, one, unit in ((1e9, 1e9, "GB"), (1e5, 1e6, "MB"), (1e3, 1e3, "kB")):
        if abs(value) >= least:
            return _signed(f"{value / one:.3f} {unit}")
    return _signed(f"{value:.0f} B")


def milliseconds(value: float) -> str:
    return _signed(f"{value:,.0f} ms" if abs(value) >= 100 else f"{value:.3g} ms")


def megabytes(value: float) -> str:
    return _signed(f"{value:,.1f} MB")


def count(value: float) -> str:
    return _signed(f"{value:,.0f}")


def seconds(value: float) -> str:
    if value < 1:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


UNITS: dict[str, Callable[[float], str]] = {
    "share": share, "bytes": size, "ms": milliseconds, "MB": megabytes, "count": count,
}  # fmt: skip
RELATIVE = ("bytes", "ms", "MB")
"""Units whose differences are told in percent, too."""


def change(before: float, after: float, unit: str) -> str:
    """How far ``after`` is from ``before``, with its sign; ``=`` where no difference would be seen."""
    write = UNITS[unit]
    if write(before) == write(after):
        return "="
    moved = write(abs(after - before))
    text = ("+" if after > before else MINUS) + moved
    if unit in RELATIVE and before:
        text += f" ({'+' if after > before else MINUS}{100 * abs(after - before) / abs(before):.1f} %)"
    return text


def value(found: Any) -> str:
    """A value of a manifest in one short line."""
    if found is None:
        return "nothing"
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, sort_keys=True)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def rejected(number: int) -> str:
    """What ingest did with pictures that it could not use."""
    return f"{count(number)} {'picture was' if number == 1 else 'pictures were'} rejected, and not used."


def listed(words: list[str], most: int = 8) -> str:
    """``a, b and c``; those beyond ``most`` are counted."""
    kept = words if len(words) <= most else [*words[: most - 1], f"{len(words) - most + 1} more"]
    return kept[0] if len(kept) == 1 else ", ".join(kept[:-1]) + f" and {kept[-1]}" if kept else "nothing"


def _signed(text: str) -> str:
    return text.replace("-", MINUS, 1) if text.startswith("-") else text
