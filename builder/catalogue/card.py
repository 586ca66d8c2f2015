"""The model card of a release: the report's own, of what the catalogue has of the release."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder.release.document import PLAN
from builder.report.card import card
from builder.report.facts import facts_of
from builder.report.subject import Subject

if TYPE_CHECKING:
    from builder.catalogue.entry import Entry


def with_card(entry: Entry) -> Entry:
    """``entry`` with its card, Markdown for people and for the Hub, and its evaluation.

    IntegrityError if a document of the release cannot be read.
    """
    release, latency, provenance = entry.release, entry.background.latency, entry.background.provenance
    facts = facts_of(
        Subject(
            name=release.name,
            version=release.version,
            digest=release.digest,
            files={title: release.files[title] for title in entry.files},
            read=entry.read,
            manifest=provenance.manifest if provenance is not None else None,
            plan=release.annotations.get(PLAN),
            run={"latency": latency.model_dump(mode="json", exclude_none=True)} if latency is not None else None,
            annotations=release.annotations,
        )
    )
    return replace(entry, card=card(facts), evaluation=facts.evaluation)
