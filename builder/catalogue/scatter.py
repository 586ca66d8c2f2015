"""All models in one picture: size against mAP, latency as the dot's area, each dot a link. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from builder.catalogue.models import Model
from builder.catalogue.plot import COLOURS, Dot, Frame, Line, linear, logarithmic
from builder.report.pareto import Point, frontier, stairs

_LETTER = 7.0
"""Pixels that a letter of a label takes, about."""
_LINE = 16
"""Pixels from one line of labels to the next."""
_EDGE = 16
"""Pixels between the frame and the data: the largest dot has a radius of 13, and is to hang over no axis."""


@dataclass(frozen=True)
class Pareto:
    frame: Frame
    dots: tuple[Dot, ...]
    lines: tuple[Line, ...]


def pareto(models: Sequence[Model], sets: Mapping[str, str], links: Mapping[str, str]) -> Pareto | None:
    """The newest version of each model; None without any.

    One colour for each test set (``sets``: digest to letter), and a line along the models that none of the same set
    beats in size and mAP. Latency stays out of that: it may be of different machines.
    """
    shown = [model for model in models if model.newest.size > 0]
    if not shown:
        return None
    points = {model.name: _point(model) for model in shown}
    across = logarithmic([point.size_mb for point in points.values()], 60 + _EDGE, 1080 - _EDGE)
    maps = [point.map for point in points.values()]
    up = linear(maps, 380 - _EDGE, 20 + _EDGE, least=0.1, limits=(0.0, 1.0))
    best: set[str] = set()
    lines = []
    for colour, digest in enumerate(sets):
        group = [points[model.name] for model in shown if model.newest.facts.tested_on == digest]
        if len(group) > 1:
            edge = sorted(frontier(group), key=lambda point: point.size_mb)
            best |= {point.label for point in edge}
            steps = zip(*stairs(edge), strict=True)
            path = " ".join(f"{across.at(x)},{up.at(y)}" for x, y in steps)
            lines.append(Line(colour % COLOURS + 1, path, sets[digest]))
    slowest = max((_milliseconds(model) or 0.0 for model in shown), default=0.0)
    dots = [
        _dot(model, across.at(points[model.name].size_mb), up.at(points[model.name].map), slowest, sets)
        for model in shown
    ]
    dots = [
        replace(dot, link=links[model.name], best=model.name in best) for model, dot in zip(shown, dots, strict=True)
    ]
    dots.sort(key=lambda dot: (-dot.radius, dot.label))  # so that no dot hides a smaller one
    frame = Frame(1100, 430, 60, 20, 1080, 380, tuple(across.ticks()), tuple(up.ticks()))
    return Pareto(frame, tuple(_labelled(dots, frame)), tuple(lines))


def _point(model: Model) -> Point:
    entry = model.newest
    return Point(model.name, entry.size / 1e6, max(entry.facts.released.map, 0.0), latency_ms=0.0, released=True)


def _milliseconds(model: Model) -> float | None:
    latency = model.newest.background.latency
    return latency.latency_ms.median if latency is not None else None


def _dot(model: Model, x: float, y: float, slowest: float, sets: Mapping[str, str]) -> Dot:
    entry, latency = model.newest, _milliseconds(model)
    digest = entry.facts.tested_on
    letter = sets[digest] if len(sets) > 1 else ""
    words = [
        f"{entry.size / 1e6:.3f} MB",
        f"mAP {entry.facts.released.map:.3f}",
        f"{latency:.2g} ms" if latency is not None else "latency not known",
        *([f"test set {letter}"] if letter else []),
    ]
    share = latency / slowest if latency is not None and slowest else 0.2
    return Dot(
        x=x,
        y=y,
        radius=round(math.sqrt(22 + 150 * share), 1),
        colour=list(sets).index(digest) % COLOURS + 1,
        text=f"{model.name} {entry.release.version}: {', '.join(words)}",
        known=latency is not None,
        label=f"{model.name} ({letter})" if letter else model.name,
    )


def _labelled(dots: Sequence[Dot], frame: Frame) -> list[Dot]:
    """``dots`` with their labels where there is room around them; those that are not beaten choose first."""
    taken = [(dot.x - dot.radius, dot.y - dot.radius, dot.x + dot.radius, dot.y + dot.radius) for dot in dots]
    found = {}
    for number, dot in sorted(enumerate(dots), key=lambda item: (not item[1].best, item[1].label)):
        wide, own = len(dot.label) * _LETTER, taken[number]
        for x, y, anchor in _around(dot):
            left = x - {"start": 0.0, "end": wide, "middle": wide / 2}[anchor]
            box = (left, y - 11, left + wide, y + 4)
            inside = box[0] >= frame.left and box[2] <= frame.width and box[1] >= 0 and box[3] <= frame.bottom
            if inside and not any(_overlap(box, other) for other in taken if other is not own):
                taken.append(box)
                found[number] = replace(dot, label_x=round(x, 1), label_y=round(y, 1), anchor=anchor)
                break
    return [found.get(number) or replace(dot, label="") for number, dot in enumerate(dots)]


def _around(dot: Dot) -> Iterator[tuple[float, float, str]]:
    """Places for a label, the best first: beside the dot, above and below, to the corners, a line further away."""
    gap = dot.radius + 4
    yield dot.x + gap, dot.y + 4, "start"
    yield dot.x - gap, dot.y + 4, "end"
    for line in (0, _LINE):
        above, below = dot.y - gap - 2 - line, dot.y + gap + 10 + line
        for y in (above, below):
            yield dot.x, y, "middle"
        for y in (above, below):
            yield dot.x, y, "start"
            yield dot.x, y, "end"


Box = tuple[float, float, float, float]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
