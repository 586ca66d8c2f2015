"""How diagnostics look: path:line:column, the line itself, the words it is about, the way out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from builder.errors import Diagnostic
from builder.manifest.source import lines_of

_WIDEST = 160


def render(diagnostics: Sequence[Diagnostic], source: str) -> str:
    """One block of text a diagnostic; ``source`` is the text that all of their spans lie in."""
    lines = lines_of(source) if source else []
    return "\n".join(_block(item, lines) for item in diagnostics)


def _block(item: Diagnostic, lines: Sequence[str]) -> str:
    span = item.span
    heading = f"{_visible(str(span))}: error[{item.code}]: {_visible(item.message)}"
    if not 1 <= span.line <= len(lines):
        return heading + (f"\n  {_visible(item.help)}" if item.help else "")
    text = _visible(lines[span.line - 1])
    start = min(span.column - 1, len(text))
    length = max(1, min(span.length, len(text) - start))
    if len(text) > _WIDEST:
        # A very long line is shown around the place, not from its beginning.
        cut = max(0, start - _WIDEST // 2)
        text, start = text[cut : cut + _WIDEST], start - cut
        length = max(1, min(length, len(text) - start))
    marks = " " * _width(text[:start]) + "^" * max(1, _width(text[start : start + length]))
    gutter = max(3, len(str(span.line)))
    note = f" {_visible(item.help)}" if item.help else ""
    return f"{heading}\n{span.line:>{gutter}} | {text}\n{'':>{gutter}} | {marks}{note}"


def _visible(text: str) -> str:
    """``text`` with one visible character for each: what it holds must not steer the terminal."""
    return "".join(character if character.isprintable() else " " if character == "\t" else "�" for character in text)


def _width(text: str) -> int:
    """Columns of a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
