"""Does a provenance say what the release's own recipe says? To be known before somebody signs it.

What lies beside a release was put there by whoever could attach to it. All that a provenance says of a build follows
from the recipe in the release; only the facts of the run do not, and of those the builder is one that the user names.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection
from typing import Any

from builder.digest import digest_bytes
from builder.errors import IntegrityError
from builder.rebuild.recipe import recipe_of
from builder.release.attached import subject_of
from builder.release.layout import Layout
from builder.release.provenance import BUILDER, Invocation, provenance
from builder.release.release import Release
from builder.trust.statement import check_subject, parse_provenance

_RUN = (
    ("builder", "version", "tinsmith"),
    ("metadata", "invocationId"),
    ("metadata", "startedOn"),
    ("metadata", "finishedOn"),
    ("byproducts", 0, "digest", "sha256"),
)
"""Paths in runDetails of what only the building machine knows: lines of text."""

_LONGEST = 256


def agreement(layout: Layout, release: Release, builders: Collection[str] = (BUILDER,)) -> Callable[[bytes], None]:
    """A check of a provenance's bytes. ``builders``: whom the user lets it name as builder. Errors as ``recipe_of``.

    The check raises IntegrityError: ``malformed``, ``wrong-type``, ``wrong-subject``, ``wrong-builder``, or
    ``wrong-recipe`` if anything but the facts of the run differs from what the recipe gives.
    """
    recipe, what = recipe_of(layout, release), f"a provenance of {release.ref}"

    def expected(builder: str) -> dict[str, Any]:
        now = datetime.datetime.fromtimestamp(0, datetime.UTC)
        run = Invocation("", now, now, digest_bytes(b""), "", builder)
        return provenance(release, recipe.manifest, recipe.lock, recipe.plan, recipe.files, run)

    def check(payload: bytes) -> None:
        check_subject(parse_provenance(payload, what), subject_of(release), what)
        found = json.loads(payload)
        builder = _at(found, ("predicate", "runDetails", "builder", "id"))
        if builder not in builders:
            raise IntegrityError(
                f"{what} has it built by {str(builder)[:100]!a}, not by {' or '.join(sorted(builders))}",
                help="if that is who built it, say so in tinsmith.toml: [sign] builder",
                code="wrong-builder",
            )
        wanted = expected(builder)
        for path in _RUN:
            said = _at(found, ("predicate", "runDetails", *path))
            if isinstance(said, str) and len(said) <= _LONGEST and said.isprintable():
                _at(wanted, ("predicate", "runDetails", *path[:-1]))[path[-1]] = said
        if found != wanted:
            raise IntegrityError(
                f"{what} is not the one that the recipe in the release gives",
                help="somebody else wrote it, or another version of tinsmith did: build the release again with --key",
                code="wrong-recipe",
            )

    return check


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    """What lies at ``path``, None if nothing does."""
    try:
        for part in path:
            document = document[part]
    except (KeyError, IndexError, TypeError):
        return None
    return document
