"""Size, accuracy and latency of several models in one picture, and which of them no other beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Point:
    """A model: megabytes (10^6), mAP, milliseconds a picture."""

    label: str
    size_mb: float
    map: float
    latency_ms: float
    released: bool


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats: at least as small, as fast and as good, and better in one of the three."""
    return [point for point in points if not any(_beats(other, point) for other in points)]


def _beats(one: Point, other: Point) -> bool:
    pairs = ((one.size_mb, other.size_mb), (one.latency_ms, other.latency_ms), (-one.map, -other.map))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def draw(points: Sequence[Point], title: str, path: Path) -> None:
    """Writes the picture (PNG): size across, mAP up, latency as the dot's area, the unbeaten ones joined and dark."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    figure = Figure(figsize=(9, 6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    best = sorted(frontier(points), key=lambda point: point.size_mb)
    axes.plot(*stairs(best), color="#1f6feb", linewidth=1, linestyle=":", zorder=1)
    slowest = max(point.latency_ms for point in points)
    for point in points:
        colour = "#1f6feb" if point in best else "#8b949e"
        axes.scatter(
            [point.size_mb], [point.map], s=30 + 270 * point.latency_ms / slowest, zorder=2, linewidths=1.5,
            edgecolors=colour, facecolors=colour if point.released else "none", alpha=0.85,
        )  # fmt: skip
    sizes, maps = [point.size_mb for point in points], [point.map for point in points]
    axes.set_xscale("log")
    axes.set_xlim(min(sizes) * 0.85, max(sizes) * 1.45)
    for point, down in zip(points, _crowding(points, max(maps) - min(maps)), strict=True):
        axes.annotate(
            f"{point.label}, {point.latency_ms:.2g} ms", (point.size_mb, point.map), xytext=(10, 4 - 12 * down),
            textcoords="offset points", fontsize=8, color="#24292f" if point in best else "#57606a",
        )  # fmt: skip
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(7))
    axes.margins(y=0.15)
    axes.grid(alpha=0.25)
    axes.set_xlabel("size of the .tflite, MB")
    axes.set_ylabel("mAP on the held-out pictures")
    axes.set_title(f"{title}: the larger the dot the slower; blue is not beaten; hollow is not released", fontsize=10)
    figure.savefig(path, format="png", metadata={"Software": None})


def _crowding(points: Sequence[Point], span: float) -> list[int]:
    """How many lines lower each label goes, because points before it lie at the same place."""
    return [
        sum(
            abs(other.size_mb / point.size_mb - 1) < 0.25 and abs(other.map - point.map) < 0.04 * span
            for other in points[:index]
        )
        for index, point in enumerate(points)
    ]


def stairs(best: Sequence[Point]) -> tuple[list[float], list[float]]:
    """The upper edge of what is reached at each size."""
    across, up, reached = [], [], float("-inf")
    for point in best:
        if point.map > reached:
            across.append(point.size_mb)
            up.append(point.map)
            reached = point.map
    return across, up
