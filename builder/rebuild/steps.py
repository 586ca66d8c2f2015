"""A release's steps.json: what every step that it depends on left, as its maker wrote it down. Untrusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from builder.digest import Digest, parse_digest
from builder.errors import IntegrityError
from builder.release.contents import STEPS
from builder.release.layout import Layout
from builder.release.release import Release

LARGEST = 1 << 26


@dataclass(frozen=True)
class Recorded:
    """The key of a step, and path -> digest of its outputs."""

    key: Digest
    outputs: Mapping[str, Digest]


def steps_of(layout: Layout, release: Release) -> dict[str, Recorded]:
    """What the steps of ``release`` left, by step name. IntegrityError if it does not say."""
    if STEPS not in release.files or release.files[STEPS][1] > LARGEST:
        raise IntegrityError(f"{release.ref} has no {STEPS} of less than {LARGEST:,} bytes", code="recipe")
    try:
        return parse_steps(layout.read(release, STEPS))
    except ValueError as error:
        raise IntegrityError(f"{STEPS} of {release.ref} cannot be read: {error}", code="recipe") from error


def parse_steps(data: bytes) -> dict[str, Recorded]:
    """The steps in ``data``, as ``document.steps_document`` writes them. ValueError if they are not."""
    try:
        return {
            str(name): Recorded(
                parse_digest(entry["key"]),
                {str(path): parse_digest(digest) for path, digest in entry["outputs"].items()},
            )
            for name, entry in json.loads(data).items()
        }
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not the outputs of steps: {error!r:.200}") from error
