"""Charts of one model: its figures over the versions, and precision over recall. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from builder.catalogue.entry import Entry
from builder.catalogue.facts import shown
from builder.catalogue.models import Model
from builder.catalogue.plot import COLOURS, Dot, Frame, Line, Scale, Tick, linear
from builder.report.formats import Curve, Evaluation

_LETTER = 7.0


@dataclass(frozen=True)
class Course:
    """One figure over the versions of a model; ``text`` says the same to who does not see it."""

    title: str
    text: str
    frame: Frame
    line: str
    dots: tuple[Dot, ...]


def courses(model: Model) -> list[Course]:
    """mAP, size and latency over the versions, oldest first.

    Of what compares with the newest version only: mAP on the same pictures, latency on the same processor. A figure
    that is then left with fewer than two versions has no chart.
    """
    entries = [step.entry for step in reversed(model.steps)]
    versions = [entry.release.version for entry in entries]
    tested, machine = model.newest.facts.tested_on, _machine(model.newest)
    maps = [entry.facts.released.map if entry.facts.tested_on == tested else None for entry in entries]
    sizes = [entry.size / 1e6 for entry in entries]
    latencies = [_milliseconds(entry) if _machine(entry) == machine else None for entry in entries]
    rows: list[tuple[str, str, Sequence[float | None], float]] = [
        ("mAP", ".3f", maps, 0.02),
        ("Size, MB", ".3f", sizes, 0.01),
        (f"Latency, ms{f', {machine[0]}' if machine else ''}", ".3g", latencies, 0.01),
    ]
    return [
        _course(title, form, versions, values, least)
        for title, form, values, least in rows
        if sum(value is not None for value in values) > 1
    ]


def _machine(entry: Entry) -> tuple[str, int] | None:
    latency = entry.background.latency
    return (shown(latency.cpu), latency.threads) if latency is not None else None


def _milliseconds(entry: Entry) -> float | None:
    return entry.background.latency.latency_ms.median if entry.background.latency is not None else None


def _course(title: str, form: str, versions: Sequence[str], values: Sequence[float | None], least: float) -> Course:
    left, right, top, bottom = 52, 312, 14, 130
    known = [value for value in values if value is not None]
    up = linear(known, bottom, top, least=least)
    up = Scale(max(up.low, 0.0), up.high, up.start, up.end)
    span = max(len(versions) - 1, 1)
    last = right - max(14.0, len(versions[-1]) * _LETTER / 2)  # so that its name is not cut off
    places = [round(left + 14 + (last - left - 14) * number / span, 1) for number in range(len(versions))]
    every = math.ceil(len(versions) / max(1, min(5, int(250 / (max(map(len, versions)) * _LETTER + 6)))))
    across = tuple(
        Tick(place, version)
        for number, (place, version) in enumerate(zip(places, versions, strict=True))
        if (len(versions) - 1 - number) % every == 0
    )
    there = [(at, name, value) for at, name, value in zip(places, versions, values, strict=True) if value is not None]
    return Course(
        title=title,
        text=f"{title} by version: " + ", ".join(f"{name} {format(value, form)}" for _, name, value in there),
        frame=Frame(320, 156, left, top, right, bottom, across, tuple(up.ticks())),
        line=" ".join(f"{at},{up.at(value)}" for at, _, value in there),
        dots=tuple(Dot(at, up.at(value), 4.0, 1, f"{name}: {format(value, form)}") for at, name, value in there),
    )


@dataclass(frozen=True)
class Curves:
    frame: Frame
    lines: tuple[Line, ...]
    others: int
    """How many classes have a curve that is not drawn."""
    unfound: tuple[str, ...]
    """Classes of which nothing was found."""
    untested: tuple[str, ...]
    """Classes that no test picture has."""


def curves(evaluation: Evaluation) -> Curves:
    """Precision over recall of the classes with the most boxes, as many as there are colours."""
    frame = Frame(
        560, 340, 50, 14, 546, 290,
        tuple(Tick(Scale(0, 1, 50, 546).at(value / 5), f"{value / 5:g}") for value in range(6)),
        tuple(Tick(Scale(0, 1, 290, 14).at(value / 5), f"{value / 5:g}") for value in range(6)),
    )  # fmt: skip
    across, up = Scale(0, 1, frame.left, frame.right), Scale(0, 1, frame.bottom, frame.top)
    most = sorted(evaluation.precision_recall.items(), key=lambda item: (-item[1].boxes, item[0]))
    drawable = [(name, points) for name, curve in most if (points := _points(curve))]
    without = [(shown(name), curve.boxes) for name, curve in most if not _points(curve)]
    lines = (
        Line(number, " ".join(f"{across.at(x)},{up.at(y)}" for x, y in points), shown(name))
        for number, (name, points) in enumerate(drawable[:COLOURS], 1)
    )
    return Curves(
        frame,
        tuple(lines),
        others=max(len(drawable) - COLOURS, 0),
        unfound=tuple(name for name, boxes in without if boxes),
        untested=tuple(name for name, boxes in without if not boxes),
    )


def _points(curve: Curve) -> list[tuple[float, float]]:
    """(recall, precision), as far as the curve reaches: beyond that COCO's metrics say 0."""
    return [(at / 100, value) for at, value in enumerate(takewhile(bool, curve.precision)) if value is not None]
