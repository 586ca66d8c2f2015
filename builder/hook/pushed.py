"""What a push did to the branches, from the lines that git gives to a post-receive hook. Pure.

Source: githooks(5), post-receive: ``<old-oid> SP <new-oid> SP <ref-name> LF``, an id of zeros for "none".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BRANCHES = "refs/heads/"

_LINE = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (refs/[^\x00-\x20\x7f]+)")


@dataclass(frozen=True)
class Update:
    """A ref that was moved from the commit ``old`` (None: it is new) to ``new`` (None: it was deleted)."""

    ref: str
    old: str | None
    new: str | None

    @property
    def branch(self) -> str:
        return self.ref.removeprefix(BRANCHES)


def updates(lines: Iterable[str]) -> list[Update]:
    """ValueError for a line that git does not write."""
    found = []
    for line in lines:
        match = _LINE.fullmatch(line.rstrip("\n"))
        if match is None:
            raise ValueError(f"no line of a post-receive hook: {line[:200]!a}")
        old, new, ref = match.groups()
        found.append(Update(ref, _id(old), _id(new)))
    return found


def to_build(found: Iterable[Update], branches: Sequence[str]) -> list[Update]:
    """Those that left a commit on one of ``branches``: not tags, not deletions."""
    refs = {BRANCHES + branch for branch in branches}
    return [update for update in found if update.ref in refs and update.new is not None]


def _id(text: str) -> str | None:
    return text if text.strip("0") else None
