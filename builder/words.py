"""Predicted times in words, the same wherever they are told."""

from __future__ import annotations


def roughly(seconds: float) -> str:
    """Of a prediction: ``under a minute``, ``about 12 min``, ``about 2h05m``."""
    if seconds < 60:
        return "under a minute"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 90 else f"about {minutes // 60}h{minutes % 60:02}m"
