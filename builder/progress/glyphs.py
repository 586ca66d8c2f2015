"""The signs that a terminal can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder.progress.row import Status
from builder.progress.series import ASCII_BLOCKS, BLOCKS


@dataclass(frozen=True)
class Glyphs:
    """One column each: a mark for each status, the blocks of a curve, a bar's full and empty part."""

    marks: Mapping[Status, str]
    blocks: str
    full: str
    empty: str
    more: str
    ascii: bool


UNICODE = Glyphs(
    {
        "waiting": "·",
        "cached": "✓",
        "preparing": "◦",
        "running": "▸",
        "done": "✓",
        "failed": "✗",
        "stopped": "■",
        "blocked": "-",
    },
    BLOCKS, "━", "─", "…", ascii=False,
)  # fmt: skip
ASCII = Glyphs(
    {
        "waiting": ".",
        "cached": "=",
        "preparing": "~",
        "running": ">",
        "done": "+",
        "failed": "x",
        "stopped": "!",
        "blocked": "-",
    },
    ASCII_BLOCKS, "#", "-", "~", ascii=True,
)  # fmt: skip


def glyphs_for(encoding: str | None, environ: Mapping[str, str]) -> Glyphs:
    """UNICODE where both ``encoding`` (of the stream) and the locale that ``environ`` names can show it, else ASCII.

    With the locale C, Python writes UTF-8 all the same (PEP 538, 540), but the terminal was said to be one of ASCII;
    where no locale is named at all, nothing was said. The Linux console has a small font.
    """
    if not is_unicode(encoding or "") or environ.get("TERM") == "linux":
        return ASCII
    language = environ.get("LANG", "")
    kind = environ.get("LC_CTYPE", "")
    if kind == "C.UTF-8" and language in ("C", "POSIX"):
        kind = ""  # Python itself has just set it
    locale = environ.get("LC_ALL") or kind or language
    return UNICODE if not locale or is_unicode(locale) else ASCII


def is_unicode(name: str) -> bool:
    """Whether an encoding, or the one in a locale's name, is UTF-8."""
    return name.partition("@")[0].rpartition(".")[2].upper().replace("-", "") == "UTF8"
