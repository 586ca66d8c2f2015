"""A matrix for CI: which manifests to build, one a job as far as there are jobs enough. Pure.

GitHub takes at most 256 jobs a matrix, and refuses an empty one; ``any`` is for the job's condition, which is looked at
before the matrix is.
Source: https://docs.github.com/en/actions/reference/limits and …/workflow-syntax-for-github-actions (strategy.matrix).
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builder.errors import UsageError

MOST = 256
_LONGEST_ID = 80


@dataclass(frozen=True)
class Entry:
    """A manifest to build; ``seconds`` are those that its training takes."""

    path: str
    name: str
    version: str
    seconds: int


def matrix(entries: Sequence[Entry], most: int = MOST) -> dict[str, Any]:
    """``{"any": bool, "include": […]}``; see docs/changed.md for the entries.

    If there are more than ``most``, they are grouped to about equal times, none is lost. UsageError for a path that
    does not fit in a line.
    """
    for entry in entries:
        if not entry.path.isprintable():
            raise UsageError(
                f"the path {entry.path!a} has characters that no line can hold", help="rename the manifest"
            )
    groups = _groups(entries, most)
    ids: dict[str, int] = {}
    return {"any": bool(groups), "include": [_job(group, ids) for group in groups]}


def text(document: dict[str, Any]) -> str:
    """One line of ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"


def _groups(entries: Sequence[Entry], most: int) -> list[list[Entry]]:
    """The longest first, each to the group that has least to do. Both the groups and what is in them keep the order
    of ``entries``."""
    if len(entries) <= most:
        return [[entry] for entry in entries]
    places = sorted(range(len(entries)), key=lambda place: (-entries[place].seconds, place))
    # Seconds, then how many there are: without training they are spread, too.
    heap: list[tuple[int, int, int]] = [(0, 0, group) for group in range(most)]
    found: list[list[int]] = [[] for _ in range(most)]
    for place in places:
        busy, count, group = heapq.heappop(heap)
        found[group].append(place)
        heapq.heappush(heap, (busy + entries[place].seconds, count + 1, group))
    return [[entries[place] for place in group] for group in sorted(map(sorted, found))]


def _job(group: Sequence[Entry], ids: dict[str, int]) -> dict[str, Any]:
    first = group[0].name + (f"-and-{len(group) - 1}-more" if len(group) > 1 else "")
    return {
        "id": _unique(first[:_LONGEST_ID], ids),
        "manifest": _lines(f"./{entry.path}" if entry.path.startswith("-") else entry.path for entry in group),
        "name": _lines(entry.name for entry in group),
        "version": _lines(entry.version for entry in group),
        "minutes": math.ceil(sum(entry.seconds for entry in group) / 60),
    }


def _lines(words: Any) -> str:
    return "\n".join(words)


def _unique(wanted: str, ids: dict[str, int]) -> str:
    found, number = wanted, 1
    while found in ids:
        number += 1
        found = f"{wanted[: _LONGEST_ID - 5]}-{number}"
    ids[found] = 1
    return found
