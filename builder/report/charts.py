"""Charts as SVG to stand inside a page: drawn by matplotlib, coloured by the page, so that they suit light and dark.

Several charts stand on one page: the ids of each are its own, and no style of one reaches beyond it. Text from outside
is never drawn (matplotlib takes a ``$`` for mathematics, and has no glyphs for many scripts): it stands in a legend of
HTML below the chart.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from builder.report.page import visible

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
_DRAWN: Any = {
    # Text stays text: smaller, found by a search, and in the reader's own font.
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "axes.formatter.useoffset": False,
    "text.color": _INK, "axes.labelcolor": _SOFT, "axes.titlecolor": _INK, "axes.edgecolor": _LINE,
    "xtick.color": _LINE, "ytick.color": _LINE, "xtick.labelcolor": _SOFT, "ytick.labelcolor": _SOFT,
    "grid.color": _LINE, "grid.linewidth": 0.6, "axes.grid": True, "axes.axisbelow": True,
    "legend.frameon": False, "legend.labelcolor": _INK, "text.parse_math": False,
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Points (x, y) joined by a line; ``label`` stands in the legend. ``mark`` is a point to be marked."""

    label: str
    points: Sequence[tuple[float, float]]
    mark: tuple[float, float] | None = None


def series_colour(number: int) -> str:
    """The matplotlib colour of the series ``number`` from 0; the page replaces it by its own."""
    return _SERIES[number % len(_SERIES)]


def figure(width: float = 4.6, height: float = 2.7) -> tuple[Figure, Axes]:
    """An empty chart of ``width`` by ``height`` inches in the page's colours."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_DRAWN):
        drawn = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(drawn)
        axes = drawn.add_subplot()
    drawn.patch.set_alpha(0.0)
    axes.patch.set_alpha(0.0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return drawn, axes


def lines(
    series: Sequence[Series],
    across: str,
    up: str,
    title: str,
    *,
    box: tuple[float, float] | None = None,
) -> Markup:
    """A line chart with its legend. ``across`` and ``up`` name the axes; ``title`` says what it shows, for
    those who do not see it.

    ``box``: the ends of both axes, else these suit the points, and ``up`` begins at 0.
    """
    drawn, axes = figure()
    for number, one in enumerate(series):
        colour = series_colour(number)
        xs, ys = zip(*one.points, strict=True) if one.points else ((), ())
        # One point makes no line.
        axes.plot(xs, ys, color=colour, linewidth=1.6, marker="o" if len(xs) == 1 else None, markersize=4)
        if one.mark is not None:
            axes.plot(*([at] for at in one.mark), color=colour, marker="o", markersize=5)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if box is None:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]) if _negative(series) else 0.0)
    else:
        axes.set_xlim(*box)
        axes.set_ylim(*box)
    return svg(drawn, title) + legend([one.label for one in series])


def legend(labels: Sequence[str]) -> Markup:
    """The names of series in their colours; nothing for one alone."""
    if len(labels) < 2:
        return Markup("")
    items = (
        Markup('<li class="series-{}">{}</li>').format(number % len(_SERIES) + 1, visible(label))
        for number, label in enumerate(labels)
    )
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def svg(drawn: Figure, title: str) -> Markup:
    """``drawn`` as an SVG element that a page holds, with ``title`` for those who do not see it."""
    import matplotlib

    buffer = io.StringIO()
    # Ids that repeat, so that equal figures give equal pages.
    with matplotlib.rc_context({**_DRAWN, "svg.hashsalt": "tinsmith"}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*; ?", "", text)
    for colour, name in _NAMES.items():
        text = text.replace(colour, f"var({name})")
    own = "c" + hashlib.sha256((title + text).encode()).hexdigest()[:8]
    text = re.sub(r'\b(id="|xlink:href="#|href="#|url\(#)', rf"\g<1>{own}-", text)
    # What matplotlib's style says of everything on the page.
    head = Markup('<svg role="img" aria-label="{}" stroke-linejoin="round" stroke-linecap="butt"').format(
        visible(title)
    )
    return head + Markup(text[len("<svg") :])


def _negative(series: Sequence[Series]) -> bool:
    return any(value < 0 for one in series for _, value in one.points)
