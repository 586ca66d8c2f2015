"""The figures of a ``progress`` event, each only where it is what it should be: a step may be code from outside."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST_LOSSES = 6
_LONGEST_WORD = 24
_LARGEST = 1e12
_LONGEST_SECONDS = 365 * 86400.0


@dataclass(frozen=True)
class Figures:
    """``done`` of ``total`` (0: unknown) in ``stage``; rates a second; seconds left; None where nothing was said."""

    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    images_per_second: float | None = None
    loss: float | None = None
    losses: tuple[tuple[str, float], ...] = ()
    learning_rate: float | None = None
    eta_seconds: float | None = None


def figures(detail: Mapping[str, Any]) -> Figures:
    done, total = _count(detail, "step"), _count(detail, "steps")
    if done is None or total is None:
        done, total = _count(detail, "done"), _count(detail, "total")
    if done is None or total is None:
        done = total = 0
    eta = number(detail.get("eta_seconds"))
    return Figures(
        stage=word(detail.get("stage")),
        done=done,
        total=total,
        unit=word(detail.get("unit")),
        images_per_second=number(detail.get("images_per_second")),
        loss=number(detail.get("loss")),
        losses=_losses(detail.get("losses")),
        learning_rate=number(detail.get("learning_rate")),
        eta_seconds=eta if eta is not None and 0 <= eta <= _LONGEST_SECONDS else None,
    )


def number(value: Any) -> float | None:
    """``value`` as a number that can be shown, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Integers have no bound, and only small ones have a float.
    return float(value) if abs(value) <= _LARGEST and math.isfinite(value) else None


def word(value: Any, longest: int = _LONGEST_WORD) -> str:
    """``value``, if it is text, as one short line in which every character is one column wide."""
    if not isinstance(value, str):
        return ""
    short = value if len(value) <= longest else value[: longest - 1] + "…"
    return "".join(sign if _is_narrow(sign) else "?" for sign in short)


def _is_narrow(sign: str) -> bool:
    return sign.isprintable() and unicodedata.east_asian_width(sign) not in "WF" and not unicodedata.combining(sign)


def _count(detail: Mapping[str, Any], name: str) -> int | None:
    value = number(detail.get(name))
    return int(value) if value is not None and value >= 0 else None


def _losses(value: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, Mapping):
        return ()
    found = ((word(name), number(item)) for name, item in sorted(value.items(), key=lambda pair: str(pair[0])))
    return tuple((name, item) for name, item in found if item is not None)[:_MOST_LOSSES]
