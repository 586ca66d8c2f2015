"""The variants of a family beside each other: which is smaller, better or faster than which."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.manifest.family import Family
from builder.release.produce import Made
from builder.report.markdown_text import code
from builder.report.pareto import Point, draw, frontier


@dataclass(frozen=True)
class _Row:
    made: Made
    point: Point


def write_comparison(family: Family, made: Sequence[Made], out: Path) -> Path:
    """Writes NAME-VERSION-variants.{json,md,png} into ``out``; returns the picture's path."""
    points = [_point(item) for item in made]
    best = frontier(points)
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{family.name}-{family.version}-variants"
    rows = [_Row(item, point) for item, point in zip(made, points, strict=True)]
    document = [_document(row, row.point in best) for row in rows]
    (out / f"{stem}.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text(_markdown(family, rows, best), encoding="utf-8")
    picture = out / f"{stem}.png"
    draw(points, f"{family.name} {family.version}", picture)
    return picture


def _point(item: Made) -> Point:
    figures = item.candidate.figures
    return Point(
        label=item.variant.label,
        size_mb=figures.metrics["size"] / 1e6,
        map=figures.released["map"],
        latency_ms=figures.latency["latency_ms"]["median"],
        released=item.built is not None,
    )


def _document(row: _Row, best: bool) -> dict[str, Any]:
    figures = row.made.candidate.figures
    return {
        "name": row.made.variant.manifest.name,
        "choices": dict(row.made.variant.choices),
        "size": figures.metrics["size"],
        "map": figures.released["map"],
        "map50": figures.released["map50"],
        "latency_ms": figures.latency["latency_ms"],
        "released": row.made.built is not None,
        "misses": list(row.made.candidate.misses),
        "pareto": best,
    }


def _markdown(family: Family, rows: Sequence[_Row], best: Sequence[Point]) -> str:
    cpu = rows[0].made.candidate.figures.latency["cpu"]
    lines = [
        f"# Variants of {family.name} {family.version}",
        "",
        "| variant | size | mAP | `mAP@0.5` | latency | not beaten | released |",
        "|---|--:|--:|--:|--:|:-:|:-:|",
    ]
    for row in rows:
        figures, point = row.made.candidate.figures, row.point
        cells = [
            code(point.label),
            f"{point.size_mb:.3f} MB",
            f"{point.map:.3f}",
            f"{figures.released['map50']:.3f}",
            f"{point.latency_ms:.1f} ms",
            "yes" if point in best else "",
            "yes" if point.released else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Latency on {code(cpu, cell=False)}. Not beaten: no other variant is at least as small, as fast and as good,",
        "and better in one of the three.",
        "",
    ]
    return "\n".join(lines)
