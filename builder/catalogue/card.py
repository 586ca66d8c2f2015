"""The model card of a release: the report's own, of what the catalogue has of the release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.catalogue.background import Background
from builder.release.document import PLAN
from builder.release.release import Release
from builder.report.card import card
from builder.report.facts import facts_of
from builder.report.formats import Evaluation
from builder.report.subject import Subject


def card_of(release: Release, background: Background, files: Mapping[str, Path]) -> tuple[str, Evaluation | None]:
    """The card, Markdown for people and for the Hub, and the evaluation; ``files``: title -> where its bytes lie.

    IntegrityError if a document of the release cannot be read.
    """
    latency, provenance = background.latency, background.provenance
    facts = facts_of(
        Subject(
            name=release.name,
            version=release.version,
            digest=release.digest,
            files={title: release.files[title] for title in files},
            read=lambda title: files[title].read_bytes(),
            manifest=provenance.manifest if provenance is not None else None,
            plan=release.annotations.get(PLAN),
            run={"latency": latency.model_dump(mode="json", exclude_none=True)} if latency is not None else None,
            annotations=release.annotations,
        )
    )
    return card(facts), facts.evaluation
