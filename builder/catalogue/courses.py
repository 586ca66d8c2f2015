"""Charts of one model: its figures over the versions, and precision over recall. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from builder.catalogue.evaluation import Evaluation
from builder.catalogue.models import Model
from builder.catalogue.plot import COLOURS, Dot, Frame, Line, Scale, Tick, linear

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
    """mAP, size and latency over the versions, oldest first; none if there is only one version.

    A figure that fewer than two versions have has no chart.
    """
    entries = [step.entry for step in reversed(model.steps)]
    versions = [entry.release.version for entry in entries]
    latencies = [entry.background.latency for entry in entries]
    rows: list[tuple[str, str, list[float | None], float]] = [
        ("mAP", ".3f", [entry.facts.released.map for entry in entries], 0.02),
        ("Size, MB", ".3f", [entry.size / 1e6 for entry in entries], 0.01),
        ("Latency, ms", ".3g", [item.latency_ms.median if item else None for item in latencies], 0.01),
    ]
    return [
        _course(title, form, versions, values, least)
        for title, form, values, least in rows
        if sum(value is not None for value in values) > 1
    ]


def _course(title: str, form: str, versions: Sequence[str], values: Sequence[float | None], least: float) -> Course:
    left, right, top, bottom = 52, 308, 14, 130
    known = [value for value in values if value is not None]
    up = linear(known, bottom, top, least=least)
    up = Scale(max(up.low, 0.0), up.high, up.start, up.end)
    span = max(len(versions) - 1, 1)
    places = [round(left + 14 + (right - left - 28) * number / span, 1) for number in range(len(versions))]
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
    """How many classes are not drawn."""


def curves(evaluation: Evaluation) -> Curves:
    """Precision over recall of the classes with the most boxes, as many as there are colours."""
    frame = Frame(
        560, 340, 50, 14, 546, 290,
        tuple(Tick(Scale(0, 1, 50, 546).at(value / 5), f"{value / 5:g}") for value in range(6)),
        tuple(Tick(Scale(0, 1, 290, 14).at(value / 5), f"{value / 5:g}") for value in range(6)),
    )  # fmt: skip
    across, up = Scale(0, 1, frame.left, frame.right), Scale(0, 1, frame.bottom, frame.top)
    most = sorted(evaluation.precision_recall.items(), key=lambda item: (-item[1].boxes, item[0]))
    chosen = [(name, curve) for name, curve in most if curve.points][:COLOURS]
    lines = (
        Line(number, " ".join(f"{across.at(x)},{up.at(y)}" for x, y in curve.points), name)
        for number, (name, curve) in enumerate(chosen, 1)
    )
    return Curves(frame, tuple(lines), len(most) - len(chosen))
