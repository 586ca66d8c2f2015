"""Steps as lines of styled pieces: names, variants, workers and figures below each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.progress.glyphs import Glyphs
from builder.progress.row import Row, Status
from builder.progress.series import spark
from builder.progress.words import duration, loss_of, losses_of, stage_of
from builder.words import roughly

Line = list[tuple[str, str]]
"""Pieces of text, each with a style: ``dim``, ``bold``, ``green``, ``cyan``, ``yellow``, ``red`` or nothing."""

GAP = "  "
_STYLES: dict[Status, str] = {
    "waiting": "dim",
    "cached": "dim",
    "preparing": "cyan",
    "running": "cyan",
    "done": "green",
    "failed": "red",
    "stopped": "yellow",
    "blocked": "dim",
}
_WIDEST_CURVE = 40
_BAR = 16
_RANKS = (4, 5, 1, 3, 6, 2)
"""Of stage, bar, count, rate, seconds and ETA of what runs: where room is short the highest goes first."""
_WORTH_TELLING = 60.0
"""Seconds that a step which waits should take, for it to say so; trainings always do."""


@dataclass(frozen=True)
class Columns:
    """Widths of names, variants and workers; for each figure of what runs its width, or 0 where it has no room."""

    name: int
    label: int
    worker: int
    figures: tuple[int, ...] = ()

    @property
    def indent(self) -> int:
        return 2 + sum(1 + size for size in (self.label, self.worker) if size) + self.name + len(GAP)


def columns(rows: Sequence[Row], shown: Sequence[Row], width: int, now: float, glyphs: Glyphs) -> Columns:
    """For a screen of ``width`` with ``shown`` of ``rows``: names stand where they are whatever is shown."""
    names = max((len(row.name) for row in rows), default=0)
    labels = max((len(row.label) for row in rows), default=0)
    workers = max((len(row.worker) for row in rows), default=0)
    found = Columns(min(names, max(8, width // 3)), min(labels, width // 4), min(workers, max(6, width // 6)))
    cells = [_cells(row, now, glyphs) for row in shown if row.status == "running"]
    widths = [max((len(row[place]) for row in cells), default=0) for place in range(len(_RANKS))]
    # The last cell need not be filled up, but no column is wider than its widest cell.
    for place in sorted(range(len(_RANKS)), key=lambda place: -_RANKS[place]):
        if sum(widths) + len(GAP) * (sum(map(bool, widths)) - 1) <= width - found.indent:
            break
        widths[place] = 0
    return Columns(found.name, found.label, found.worker, tuple(widths))


def step_lines(row: Row, curve: bool, sizes: Columns, width: int, now: float, glyphs: Glyphs) -> list[Line]:
    """One line for ``row``, and one for its loss if ``curve``."""
    style = _STYLES[row.status]
    head: Line = [
        (glyphs.marks[row.status] + " ", style),
        (_short(row.name, sizes.name, glyphs).ljust(sizes.name), "dim" if style == "dim" else ""),
    ]
    if sizes.label:
        shorten = _middle if sizes.worker else _short
        head.append((f" {shorten(row.label, sizes.label, glyphs).ljust(sizes.label)}", "dim"))
    if sizes.worker:
        # What tells workers apart is at the end of their names.
        name = row.worker if len(row.worker) <= sizes.worker else glyphs.more + row.worker[1 - sizes.worker :]
        head.append((f" {name.ljust(sizes.worker)}", "" if row.at_work else "dim"))
    said = _said(row, sizes, width - sizes.indent, now, glyphs)
    lines: list[Line] = [[*head, (GAP + said, "dim" if style == "dim" else "")]]
    if curve:
        lines.append(_loss(row, sizes.indent, width, glyphs))
    return lines


def fitted(parts: Sequence[tuple[int, str]], room: int) -> str:
    """The texts of ``parts`` in their order, without those of the highest rank until they fit into ``room``."""
    kept = list(parts)
    while kept and len(GAP.join(text for _, text in kept)) > room:
        kept.remove(max(kept))
    return GAP.join(text for _, text in kept)


def _said(row: Row, sizes: Columns, room: int, now: float, glyphs: Glyphs) -> str:
    match row.status:
        case "waiting":
            parts = [(0, "waiting")]
            if row.lost:
                parts.append((1, f"lost with {row.lost_with}" if row.lost_with else "its worker was lost"))
            if row.lost and row.figures.total:
                parts.append((2, f"at {row.figures.done}/{row.figures.total}"))
            if row.expected and (row.training or row.expected >= _WORTH_TELLING):
                parts.append((1, roughly(row.expected * row.share)))
            return fitted(parts, room)
        case "cached":
            return "cached"
        case "blocked":
            return fitted([(0, "will not run"), (1, "needs what failed")], room)
        case "preparing":
            again = [(1, _again(row))] if row.lost else []
            return fitted([(0, f"toolchain {row.toolchain}"), *again, (1, duration(row.elapsed(now)))], room)
        case "done":
            text = f"done in {duration(row.seconds)}"
            return text if len(text) <= room else "done"
        case "running":
            cells = [(cell, size) for cell, size in zip(_cells(row, now, glyphs), sizes.figures, strict=True) if size]
            if sum(cell != "" for cell, _ in cells) <= 1:  # no figures: far from the name it would be by itself
                return next((cell for cell, _ in cells if cell), _short(duration(row.elapsed(now)), room, glyphs))
            return GAP.join(cell.ljust(size) for cell, size in cells).rstrip()
        case _:
            parts = [(0, f"{row.status} after {duration(row.seconds)}")]
            if row.figures.total:
                parts.append((2, f"at {row.figures.done}/{row.figures.total}"))
            if row.status == "failed" and row.code:
                parts.append((1, row.code))
            return fitted(parts, room) or row.status


def _cells(row: Row, now: float, glyphs: Glyphs) -> tuple[str, ...]:
    """Stage, bar, count, rate, seconds and ETA of a step that runs; empty where there is none."""
    found, bar, count, rate, eta = row.figures, "", "", "", ""
    stage = stage_of(found, row.name)
    if row.lost:
        stage = f"{stage}, {_again(row)}" if stage else _again(row)
    if found.total > 1:
        full = min(_BAR, _BAR * found.done // found.total)
        bar = glyphs.full * full + glyphs.empty * (_BAR - full)
        count = f"{found.done}/{found.total} {found.unit}".rstrip()
    if found.images_per_second is not None:
        rate = f"{found.images_per_second:.1f} images/s"
    elif (pieces := row.rate()) is not None:
        rate = f"{pieces:.1f}/s"
    if (left := row.eta(now)) is not None and (not found.total or found.done < found.total):
        eta = f"ETA {duration(left)}"
    return stage, bar, count, rate, duration(row.elapsed(now)), eta


def _again(row: Row) -> str:
    return "going on" if row.training else "once more"


def _loss(row: Row, indent: int, width: int, glyphs: Glyphs) -> Line:
    """``loss 1.234 ▇▅▃▂▁  (box 0.4, class 0.8)  lr 0.003``, the curve before the rest where room is short."""
    number = f"loss {loss_of(row.figures)}"
    indent = min(indent, max(2, width - len(number) - 12))
    values = row.loss.values
    room = width - indent - len(number) - 1
    curve = spark(values, min(_WIDEST_CURVE, room, max(12, width // 3)), glyphs.blocks)
    parts = []
    if row.status == "running":
        if row.figures.learning_rate is not None:
            parts.append((0, f"lr {row.figures.learning_rate:.2g}"))
        if losses := losses_of(row.figures):
            parts.append((1, f"({losses})"))
    rest = fitted(parts, room - len(curve) - len(GAP))
    return [(" " * indent + number + " ", ""), (curve, "cyan"), (GAP + rest if rest else "", "dim")]


def _middle(text: str, size: int, glyphs: Glyphs) -> str:
    """``text`` in ``size`` columns with both its ends: names of variants differ anywhere."""
    if len(text) <= size or size < 3:
        return text[:size]
    return text[: size // 2] + glyphs.more + text[len(text) - (size - 1 - size // 2) :]


def _short(text: str, size: int, glyphs: Glyphs) -> str:
    return text if len(text) <= size else text[: max(0, size - 1)] + glyphs.more
