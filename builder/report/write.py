"""Writes reports beside the files of a build: a page, its Markdown twin and a model card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from builder.digest import digest_json, hex_of
from builder.release.layout import Layout
from builder.release.produce import Made
from builder.release.release import Release
from builder.report.subject import Subject, last_release, of_made, of_release
from builder.store.base import Store
from builder.whole import write_whole

FORMAT = 2
"""Raised whenever reports say something else of the same subject, so that older ones are made anew."""
PAGE, TWIN, CARD = "report.html", "report.md", "card.md"
_STAMP = re.compile(rb'<meta name="tinsmith-report" content="([0-9a-f]{64})">')
_HEAD = 1 << 15
"""Bytes of a page, at most, in which its stamp lies: the style is before it."""


def write_reports(made: Sequence[Made], layout: Layout, store: Store, against: str | None = None) -> None:
    """A report of each of ``made`` in its folder. ``against``: the release to compare with, else the last before each.

    UsageError if there is no release called ``against``; IntegrityError as for ``write_report``.
    """
    for one in made:
        manifest = one.variant.manifest
        other = compared(layout, manifest.name, manifest.version, against)
        write_report(of_made(one, layout, store), layout, other, one.folder)


def compared(layout: Layout, name: str, version: str, against: str | None) -> Release | None:
    """The release that a report of ``name`` ``version`` compares with; UsageError as for ``Layout.find``."""
    return layout.find(against) if against is not None else last_release(layout, name, version)


def write_report(subject: Subject, layout: Layout, other: Release | None, folder: Path, *, anew: bool = False) -> bool:
    """Writes the report of ``subject`` against ``other`` of ``layout`` into ``folder``, and says whether it had to.

    What is there of the same content stays, and nothing is read for it, unless it is wanted ``anew``. IntegrityError
    if a document of one of the two cannot be read.
    """
    stamp = hex_of(digest_json([FORMAT, subject.identity, other.digest if other is not None else None]))
    if not anew and _is_there(folder, stamp):
        return False
    # Charts and templates take a while to load, which a build with nothing to do need not wait for.
    from builder.report.card import card
    from builder.report.difference import difference
    from builder.report.facts import facts_of
    from builder.report.html import page
    from builder.report.markdown import markdown

    facts = facts_of(subject)
    changed = difference(facts_of(of_release(layout, other)) if other is not None else None, facts)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / TWIN, markdown(facts, changed).encode("utf-8"))
    write_whole(folder / CARD, card(facts).encode("utf-8"))
    # The last one: its stamp speaks for all three.
    write_whole(folder / PAGE, page(facts, changed, stamp).encode("utf-8"))
    return True


def _is_there(folder: Path, stamp: str) -> bool:
    try:
        with (folder / PAGE).open("rb") as stream:
            found = _STAMP.search(stream.read(_HEAD))
    except OSError:
        return False
    return found is not None and found[1].decode() == stamp and all((folder / name).is_file() for name in (TWIN, CARD))
