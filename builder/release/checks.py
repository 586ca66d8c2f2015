"""What was checked of a release, and how it went."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """``ok`` is None where there was nothing to check, and ``detail`` says why."""

    name: str
    ok: bool | None
    detail: str
