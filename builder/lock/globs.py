"""Globs over paths within a source: ``*`` and ``?`` stay within a folder's name, ``**`` is any folders."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence


def counts(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Does the file ``path`` count: named by ``include``, or that is empty, and not by ``exclude``?"""
    wanted = not include or any(_compiled(pattern).fullmatch(path) for pattern in include)
    return wanted and not any(_compiled(pattern).fullmatch(path) for pattern in exclude)


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = pattern.split("/")
    text = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            text += "(?:[^/]+/)*" + ("[^/]+" if last else "")
        else:
            text += _name(part) + ("" if last else "/")
    return re.compile(text)


def _name(part: str) -> str:
    """One name as a regular expression; no sign stands for a slash."""
    text, place = "", 0
    while place < len(part):
        sign, end = part[place], part.find("]", place + 2)
        if sign == "[" and end > 0:
            inside = part[place + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            text += "[^" + inside[1:] + "/]" if inside[0] == "!" else f"[{inside.replace('^', chr(92) + '^')}]"
            place = end
        else:
            text += {"*": "[^/]*", "?": "[^/]"}.get(sign, re.escape(sign))
        place += 1
    return text
