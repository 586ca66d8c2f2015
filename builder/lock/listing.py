"""The list of a source's files that its digest is taken over, read back; and where two such lists part. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Listing = Mapping[str, str]
"""Path within the source -> SHA-256 of the file, 64 hex digits."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileChange:
    """A file of other bytes; ``before`` or ``after`` is None where it is not there."""

    path: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        path = self.path if self.path.isprintable() else ascii(self.path)
        if self.after is None:
            return f"{path} is missing"
        return f"{path} is extra" if self.before is None else f"{path} has other bytes"


def parse_listing(data: bytes) -> dict[str, str]:
    """The listing in ``data``, as ``content.dataset_digest`` writes it. ValueError if it is none."""
    try:
        found = {str(entry["path"]): str(entry["sha256"]) for entry in json.loads(data)}
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a list of files: {error!r:.200}") from error
    if not all(_SHA256.fullmatch(sha256) for sha256 in found.values()):
        raise ValueError("not a list of files: a hash is none")
    return found


def changes(before: Listing, after: Listing) -> Iterator[FileChange]:
    """The files that differ, in the order of their paths."""
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            yield FileChange(path, before.get(path), after.get(path))
