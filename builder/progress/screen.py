"""What a terminal of some size shows of a board: lines of styled pieces, none wider than asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from builder.progress.board import Board, Row, Status
from builder.progress.glyphs import Glyphs
from builder.progress.series import spark
from builder.progress.words import duration, loss_of, losses_of, stage_of
from builder.words import roughly

Line = list[tuple[str, str]]
"""Pieces of text, each with a style: ``dim``, ``bold``, ``green``, ``cyan``, ``yellow``, ``red`` or nothing."""

_STYLES: dict[Status, str] = {
    "waiting": "dim",
    "cached": "dim",
    "preparing": "cyan",
    "running": "cyan",
    "done": "green",
    "failed": "red",
    "stopped": "yellow",
}
_WIDEST_CURVE = 40
_BAR = 16
_GAP = "  "


def screen(board: Board, width: int, height: int, now: float, glyphs: Glyphs) -> list[Line]:
    """At most ``height`` lines of at most ``width`` columns: a heading, then the steps.

    Where there are more steps than lines, those around the one at work are shown, and the others counted.
    """
    shown = list(board.rows.values())
    at = board.current or _of_interest(shown)
    if board.current is not None and board.current not in shown:
        shown.insert(0, board.current)
    heading = [_heading(board, width, now, glyphs)] if board.rows and height > 1 else []
    columns = _columns(shown, width)
    here = next((index for index, row in enumerate(shown) if row is at), 0)
    first, end = _window([2 if _has_curve(row) else 1 for row in shown], here, height - len(heading))
    lines = heading
    if first:
        lines.append(_counted(shown[:first], "above", glyphs))
    for row in shown[first:end]:
        lines += _step(row, columns, width, now, glyphs)
    if end < len(shown):
        lines.append(_counted(shown[end:], "below", glyphs))
    lines = lines if len(lines) <= height else lines[-height:]  # of a terminal of a few lines
    return [_cut(_plain_signs(line, glyphs), width) for line in lines]


def text_of(lines: Sequence[Line]) -> str:
    """``lines`` without their styles."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def _heading(board: Board, width: int, now: float, glyphs: Glyphs) -> Line:
    ended, total = board.count("cached", "done"), len(board.rows)
    parts = [(0, f"{ended} of {total} steps")]
    if cached := board.count("cached"):
        parts.append((2, f"{cached} cached"))
    parts.append((1, duration(max(0.0, now - (board.begun or now)))))
    left = board.training_left(now)
    if left is not None:
        parts.append((3, f"{roughly(left)} of training left"))
    text = _fitted(parts, width - len(board.title) - len(_GAP))
    return [(board.title, "bold"), (_GAP + text, "")]


def _columns(rows: Sequence[Row], width: int) -> tuple[int, int]:
    """Widths of names and of variants."""
    names = max((len(row.name) for row in rows), default=0)
    labels = max((len(row.label) for row in rows), default=0)
    return min(names, max(8, width // 3)), min(labels, width // 4)


def _step(row: Row, columns: tuple[int, int], width: int, now: float, glyphs: Glyphs) -> list[Line]:
    """One line for ``row``, and one for its loss where it has one."""
    style = _STYLES[row.status]
    name, label = (
        _short(text, size, glyphs).ljust(size) for text, size in zip((row.name, row.label), columns, strict=True)
    )
    head: Line = [(glyphs.marks[row.status] + " ", style), (name, "dim" if style == "dim" else "")]
    if columns[1]:
        head.append((f" {label}", "dim"))
    indent = sum(len(text) for text, _ in head) + len(_GAP)
    room = width - indent
    lines: list[Line] = [[*head, (_GAP + _said(row, room, now, glyphs), "dim" if style == "dim" else "")]]
    if _has_curve(row):
        lines.append(_loss(row, indent, width, glyphs))
    return lines


def _said(row: Row, room: int, now: float, glyphs: Glyphs) -> str:
    match row.status:
        case "waiting":
            about = [(1, roughly(row.predicted))] if row.predicted else []
            return _fitted([(0, "waiting"), *about], room)
        case "cached":
            return "cached"
        case "preparing":
            return _fitted([(0, f"toolchain {row.toolchain}"), (1, duration(row.elapsed(now)))], room)
        case "done":
            return f"done in {duration(row.seconds)}"
        case "running":
            return _running(row, room, now, glyphs)
        case _:
            parts = [(0, f"{row.status} after {duration(row.seconds)}")]
            if row.figures.total:
                parts.append((2, f"at {row.figures.done}/{row.figures.total}"))
            if row.status == "failed" and row.code:
                parts.append((1, row.code))
            return _fitted(parts, room)


def _running(row: Row, room: int, now: float, glyphs: Glyphs) -> str:
    found, parts = row.figures, []
    if stage := stage_of(found, row.name):
        parts.append((4, stage))
    if found.total > 1:
        full = min(_BAR, _BAR * found.done // found.total)
        parts.append((5, glyphs.full * full + glyphs.empty * (_BAR - full)))
        parts.append((1, f"{found.done}/{found.total} {found.unit}".rstrip()))
    if found.images_per_second is not None:
        parts.append((3, f"{found.images_per_second:.1f} images/s"))
    elif (rate := row.rate()) is not None:
        parts.append((3, f"{rate:.1f}/s"))
    parts.append((6, duration(row.elapsed(now))))
    if (left := row.eta(now)) is not None and (not found.total or found.done < found.total):
        parts.append((2, f"ETA {duration(left)}"))
    return _fitted(parts, room) or _short(duration(row.elapsed(now)), room, glyphs)


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
    rest = _fitted(parts, room - len(curve) - len(_GAP))
    return [(" " * indent + number + " ", ""), (curve, "cyan"), (_GAP + rest if rest else "", "dim")]


def _has_curve(row: Row) -> bool:
    return row.status not in ("waiting", "cached") and row.figures.loss is not None


def _window(heights: Sequence[int], here: int, height: int) -> tuple[int, int]:
    """The first of the rows that fit, ``here`` among them, and the end; a line each for what is above and below."""

    def fits(first: int, end: int) -> bool:
        counts = (first > 0) + (end < len(heights))
        return first >= 0 and end <= len(heights) and sum(heights[first:end]) + counts <= height

    if fits(0, len(heights)):
        return 0, len(heights)
    first, end = here, here + 1
    while (below := fits(first, end + 1)) or fits(first - 1, end):
        # What comes next interests more than what has been: two of three lines.
        if below and (end - here < 2 * (here - first + 1) or not fits(first - 1, end)):
            end += 1
        else:
            first -= 1
    return first, end


def _counted(rows: Sequence[Row], where: str, glyphs: Glyphs) -> Line:
    statuses = dict.fromkeys(row.status for row in rows)
    counts = ", ".join(f"{sum(row.status == status for row in rows)} {status}" for status in statuses)
    return [(f"{glyphs.more} {len(rows)} more {where}: {counts}", "dim")]


def _of_interest(rows: Sequence[Row]) -> Row | None:
    """Where no step is at work: the one that failed, else the first that waits, else the last."""
    failed = (row for row in rows if row.status in ("failed", "stopped"))
    waiting = (row for row in rows if row.status == "waiting")
    return next(failed, None) or next(waiting, None) or (rows[-1] if rows else None)


def _fitted(parts: Sequence[tuple[int, str]], room: int) -> str:
    """The texts of ``parts`` in their order, without those of the highest rank until they fit into ``room``."""
    kept = list(parts)
    while kept and len(_GAP.join(text for _, text in kept)) > room:
        kept.remove(max(kept))
    return _GAP.join(text for _, text in kept)


def _short(text: str, size: int, glyphs: Glyphs) -> str:
    return text if len(text) <= size else text[: max(0, size - 1)] + glyphs.more


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
