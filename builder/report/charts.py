"""Charts as SVG to stand inside a page: drawn by matplotlib, coloured by the page, so that they suit light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that nobody would draw in -> what the page's style calls them.
_SERIES = tuple(f"#fe{number:02x}01" for number in range(1, 7))
_INK, _SOFT, _LINE = "#fd0101", "#fd0201", "#fd0301"
_NAMES = {
    _INK: "--ink", _SOFT: "--soft", _LINE: "--line",
    **{colour: f"--series-{number}" for number, colour in enumerate(_SERIES, 1)},
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Points (x, y) joined by a line; ``label`` stands in the legend."""

    label: str
    points: Sequence[tuple[float, float]]


def series_colour(number: int) -> str:
    """The matplotlib colour of the series ``number`` from 0; the page replaces it by its own."""
    return _SERIES[number % len(_SERIES)]


def figure(width: float = 6.4, height: float = 3.2) -> tuple[Figure, Axes]:
    """An empty chart of ``width`` by ``height`` inches in the page's colours."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(drawn)
    drawn.patch.set_alpha(0.0)
    axes = drawn.add_subplot()
    axes.patch.set_alpha(0.0)
    axes.tick_params(colors=_SOFT, labelsize=9)
    axes.grid(color=_LINE, linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_color(_LINE)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(_SOFT)
        label.set_fontsize(9)
    return drawn, axes


def lines(series: Sequence[Series], across: str, up: str, title: str) -> Markup:
    """A line chart. ``across`` and ``up`` name the axes; ``title`` says to a screen reader what it shows."""
    drawn, axes = figure()
    for number, one in enumerate(series):
        xs, ys = zip(*one.points, strict=True) if one.points else ((), ())
        axes.plot(xs, ys, color=series_colour(number), linewidth=1.5, label=one.label)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if len(series) > 1:
        axes.legend(frameon=False, labelcolor=_INK, fontsize=9)
    return svg(drawn, title)


def svg(drawn: Figure, title: str) -> Markup:
    """``drawn`` as an SVG element that a page holds, with ``title`` for those who do not see it."""
    import matplotlib

    buffer = io.StringIO()
    # Text stays text: smaller, and found by a search; ids that repeat, so that equal figures give equal pages.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif"}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, name in _NAMES.items():
        text = text.replace(colour, f"var({name})")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head = f'<svg role="img" aria-label="{escape(title, {chr(34): "&quot;"})}"'
    return Markup(head + text[len("<svg") :])
