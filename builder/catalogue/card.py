"""The model card of a release, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.catalogue.entry import Entry


def card_of(entry: Entry) -> str:
    """What the release is, how good it is and how it was made, for people."""
    facts = entry.facts
    stage, constant = facts.released, facts.metrics.constant_baseline
    lines = [
        f"# {entry.release.ref}",
        "",
        _plain(facts.description),
        "",
        f"A detector of {len(facts.labels.names)} classes in {facts.metrics.images} test pictures, "
        f"licensed {_plain(facts.license)}, by {_plain(', '.join(facts.authors))}.",
        "",
        "| | mAP | mAP@0.5 |",
        "|---|--:|--:|",
        f"| model.tflite | {stage.map:.3f} | {stage.map50:.3f} |",
        f"| a constant box | {constant.map:.3f} | {constant.map50:.3f} |",
        "",
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """``text`` as text: nothing in it is Markdown."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>()#+-.!|~&" else sign for sign in text)
