"""Charts as a template draws them: data to places in a frame. Pure, and small: points are links, colours are classes.

The report's charts (builder/report/charts.py) put style into attributes, which a page with a strict
Content-Security-Policy does not get; and a catalogue has some for each model, which is many to draw with matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = 6
"""Series that a page tells apart: classes colour-1 to colour-6."""

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_IN_DECADE = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))


@dataclass(frozen=True)
class Tick:
    """``at`` in pixels."""

    at: float
    text: str


@dataclass(frozen=True)
class Frame:
    """Pixels; the data lie between (left, top) and (right, bottom)."""

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


@dataclass(frozen=True)
class Dot:
    """``text`` says what it is; ``label`` is what is written beside it, at (``label_x``, ``label_y``), or nothing where
    there is no room. ``best``: nothing beats it; ``known``: its area means something."""

    x: float
    y: float
    radius: float
    colour: int
    text: str
    label: str = ""
    link: str = ""
    best: bool = False
    known: bool = True
    label_x: float = 0.0
    label_y: float = 0.0
    anchor: str = "start"


@dataclass(frozen=True)
class Line:
    colour: int
    points: str
    label: str


@dataclass(frozen=True)
class Scale:
    """From ``low`` to ``high`` of the data to ``start`` to ``end`` in pixels; by its logarithm if ``log``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self) -> list[Tick]:
        values = _decades(self.low, self.high) if self.log else _even(self.low, self.high)
        return [Tick(self.at(value), f"{value:g}") for value in values]


def linear(
    values: Sequence[float], start: float, end: float, *, least: float = 0.0, limits: tuple[float, float] | None = None
) -> Scale:
    """A scale on which ``values`` have some room, at least ``least`` of the data wide; never beyond ``limits``."""
    low, high = min(values), max(values)
    room = max((high - low) * 0.12, (least - (high - low)) / 2, abs(high) * 1e-3, 1e-9)
    low, high = low - room, high + room
    if limits is not None:
        low, high = max(low, limits[0]), min(high, limits[1])
    return Scale(low, high, start, end)


def logarithmic(values: Sequence[float], start: float, end: float) -> Scale:
    """As ``linear``, for values above zero."""
    low, high = min(values), max(values)
    room = max((high / low) ** 0.1, 1.15)
    return Scale(low / room, high * room, start, end, log=True)


def _even(low: float, high: float, most: int = 5) -> list[float]:
    """Some three to five round values."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(each * power for each in _STEPS if each * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) + 0.0 for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """The fewest round values of at least three, else evenly spaced ones."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for choice in _IN_DECADE:
        values = [first * 10.0**power for power in powers for first in choice]
        inside = [float(f"{value:.6g}") for value in values if low <= value <= high]
        if len(inside) >= 3:
            return inside if len(inside) <= 9 else inside[:: math.ceil(len(inside) / 9)]
    return _even(low, high)
