"""What an event says, made fit for every view: no control characters, no endless text, only numbers that are numbers.

Steps may be code from outside, and messages quote names of files, registries and releases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from builder.printed import printable

LONGEST_TEXT = 4096
"""Characters of a string that are passed on; what is longer ends in ``…``."""

_LARGEST = 2**53
"""Whole numbers up to here are the same number for every reader of JSON."""

_DEEPEST = 8


def cleaned(detail: Mapping[str, Any]) -> dict[str, Any]:
    """``detail`` as plain JSON data.

    In strings a ``?`` stands for what could steer a terminal. Numbers that are not finite or too large to be exact, and
    what is nested deeper than events are, become None.
    """
    return {_text(str(key)): _value(item, _DEEPEST) for key, item in detail.items()}


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth and isinstance(value, Mapping):
        return {_text(str(key)): _value(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_value(item, depth - 1) for item in value]
    return None


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        text = text[: LONGEST_TEXT - 1] + "…"
    return text if text.isprintable() else printable(text)
