"""Text from outside in GitHub Flavored Markdown, where it may neither break a table nor become HTML, a link or a call.

Backslashes keep CommonMark from reading signs, but GitHub looks for ``@user``, ``#1`` and addresses in the finished
text. It looks into no code span, so short texts stand in those; prose gets an invisible sign after what would call
somebody. Even ``mAP@0.5`` is taken for somebody's address.

Sources: CommonMark 0.31 (backslash escapes, code spans), GitHub Flavored Markdown 0.29 (tables, autolinks).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SILENT = "\N{ZERO WIDTH SPACE}"
_SIGNS = re.compile(r"([!#$*:@\[\\\]^_`{|}~]|(?<=www)\.)", re.IGNORECASE)
_FIRST = re.compile(r"^([-+=]|\d+(?=[.)]))")
"""What makes a list or a heading of a line that begins with it."""
_CALLS = re.compile(r"([@#]|GH-)", re.IGNORECASE)


def line(text: str, most: int = 200) -> str:
    """``text`` in one line of at most ``most`` characters, without signs that cannot be seen."""
    shown = "".join(sign if sign.isprintable() else " " if sign.isspace() else "?" for sign in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def code(text: str, most: int = 200, *, cell: bool = True) -> str:
    """``text`` as a code span, in a ``cell`` of a table or elsewhere; a dash for nothing."""
    shown = line(text, most)
    if not shown:
        return "–"
    # A backslash before a pipe would hide it from the table, or the one that hides the pipe.
    if cell:
        shown = shown.replace("\\|", "\\ |").replace("|", "\\|")
    if shown.endswith("\\"):
        shown += " "
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def prose(text: str, most: int = 2000) -> str:
    """``text`` as plain words of a paragraph."""
    shown = line(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = re.sub(r"&(?!(?:amp|lt|gt);)", "&amp;", shown)
    parts = re.split(r"(&(?:amp|lt|gt);)", shown)
    text = "".join(part if part.startswith("&") else _escaped(part) for part in parts)
    return _FIRST.sub(lambda found: f"\\{found[1]}" if not found[1].isdigit() else f"{found[1]}\\", text)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> list[str]:
    """Lines of a table; its cells are Markdown already. ``numbers``: columns that are set to the right."""
    right = set(numbers)
    rule = ["--:" if place in right else "---" for place in range(len(headings))]
    return [_row(headings), _row(rule), *(_row(row) for row in rows), ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return _CALLS.sub(rf"\1{_SILENT}", _SIGNS.sub(r"\\\1", text))
