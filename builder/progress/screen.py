"""What a terminal of some size shows of a board: lines of styled pieces, none wider than asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from builder.progress.board import Board
from builder.progress.choose import chosen
from builder.progress.glyphs import Glyphs
from builder.progress.lines import GAP, Line, columns, fitted, step_lines
from builder.progress.row import Row
from builder.progress.words import duration, left_of, workers_of


def screen(board: Board, width: int, height: int, now: float, glyphs: Glyphs) -> list[Line]:
    """At most ``height`` lines of at most ``width`` columns: a heading, then the steps.

    Where there are more steps than lines, those that matter most are shown (``choose``), and the others counted.
    """
    lines = [_heading(board, width, now, glyphs)] if board.rows and height > 1 else []
    found = chosen(board, height - len(lines))
    shown = [row for row, _ in found.rows]
    sizes = columns([*board.rows.values(), *shown], shown, width, now, glyphs)
    where = (" above", " below") if not board.cluster else ("", "")
    if found.above:
        lines.append(_counted(found.above, where[0], glyphs))
    for row, curve in found.rows:
        lines += step_lines(row, curve, sizes, width, now, glyphs)
    if found.below:
        lines.append(_counted(found.below, where[1], glyphs))
    lines = lines if len(lines) <= height else lines[-height:]  # of a terminal of a few lines
    return [_cut(_plain_signs(line, glyphs), width) for line in lines]


def text_of(lines: Sequence[Line]) -> str:
    """``lines`` without their styles."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def _heading(board: Board, width: int, now: float, glyphs: Glyphs) -> Line:
    ended, total = board.count("cached", "done"), len(board.rows)
    parts = [(0, f"{ended} of {total} steps")]
    if board.cluster and (failed := board.count("failed")):
        parts.append((1, f"{failed} failed"))
    if cached := board.count("cached"):
        parts.append((3, f"{cached} cached"))
    parts.append((2, duration(max(0.0, now - (board.begun or now)))))
    if board.workers is not None and (board.running or board.count("waiting")):
        parts.append((1 if not board.workers else 5, workers_of(board.workers)))
    left = board.left(now)
    if left is not None:
        parts.append((4, left_of(left)))
    text = fitted(parts, width - len(board.title) - len(GAP))
    return [(board.title, "bold"), (GAP + text, "")]


def _counted(rows: Sequence[Row], where: str, glyphs: Glyphs) -> Line:
    statuses = dict.fromkeys(row.status for row in rows)
    counts = ", ".join(f"{sum(row.status == status for row in rows)} {status}" for status in statuses)
    return [(f"{glyphs.more} {len(rows)} more{where}: {counts}", "dim")]


def _plain_signs(line: Line, glyphs: Glyphs) -> Line:
    if not glyphs.ascii:
        return line
    return [(text.encode("ascii", "replace").decode("ascii"), style) for text, style in line]


def _cut(line: Line, width: int) -> Line:
    kept, room = [], width
    for text, style in line:
        if room > 0 and text:
            kept.append((text[:room], style))
        room -= len(text)
    return kept
