"""The report as one HTML page that stands alone: no script, nothing fetched, everything from the release escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator

from builder.release.documents import MODEL
from builder.report import words
from builder.report.advice import advice, has_score, warning
from builder.report.boxes import LARGEST_PNG, Gallery, is_png
from builder.report.confusion import matrix
from builder.report.curves import precision_recall, training_charts
from builder.report.difference import Difference, machines_told
from builder.report.durations import durations, time_told
from builder.report.facts import Facts
from builder.report.judged import budgets
from builder.report.markdown_text import line
from builder.report.page import data_uri, render
from builder.report.weight import files, model_parts

SHEET = "detections.png"
MOST_CLASSES = 200
"""Rows of the table of classes."""
MOST_CHANGES = 500


def page(facts: Facts, changed: Difference, stamp: str) -> str:
    """The page of ``facts``; ``stamp`` is kept in it to tell later what it was made of."""
    gallery = Gallery(facts)
    steps = durations(facts)
    listed, more_files = files(facts)
    evaluation = facts.evaluation
    curves, more_curves = precision_recall(evaluation) if evaluation is not None else ([], 0)
    return render(
        "report.html",
        facts=facts,
        subject=facts.subject,
        metrics=facts.metrics,
        metadata=facts.metadata,
        run=facts.run,
        changed=changed,
        stamp=stamp,
        words=words,
        state=state(facts),
        advice=advice(facts),
        has_score=has_score(facts),
        warning=warning(facts),
        rejected=[(line(one.file), line(one.reason, 400)) for one in facts.rejected[: words.MOST_REJECTED]],
        more_rejected=len(facts.rejected[words.MOST_REJECTED :]),
        budgets=budgets(facts),
        machines=machines_told(*changed.machines) if changed.machines is not None else "",
        stages=sorted(facts.metrics.stages.items()) if facts.metrics is not None else [],
        classes=list(facts.metrics.released.per_class.items())[:MOST_CLASSES] if facts.metrics is not None else [],
        pairs=list(_pairs(facts)),
        curves=curves,
        more_curves=more_curves,
        evaluation=evaluation,
        confusion=matrix(evaluation.confusion) if evaluation is not None else None,
        shown=gallery.shown(),
        worst=gallery.worst(),
        sheet=_sheet(facts) if evaluation is None else None,
        training=[(stage, training_charts(stage)) for stage in facts.training.stages] if facts.training else [],
        steps=steps,
        steps_told=time_told(steps),
        files=listed,
        more_files=more_files,
        parts=model_parts(facts),
        model=facts.subject.files.get(MODEL),
        changes=(changed.manifest or ())[:MOST_CHANGES],
        more_changes=len((changed.manifest or ())[MOST_CHANGES:]),
        manifest=json.dumps(facts.manifest, indent=2, ensure_ascii=False) if facts.manifest else None,
    )


def state(facts: Facts) -> tuple[str, str]:
    """(a class of the style, a sentence): what became of the build."""
    if facts.subject.canary:
        said = "A canary: the whole chain on a tiny share of the data. Its accuracy says nothing of the model."
        return ("bad", f"{said} It misses its budgets.") if facts.misses else ("soft", said)
    if facts.released:
        return ("good", "Released.") if not facts.misses else ("bad", "Released, though it misses budgets.")
    if facts.misses:
        return "bad", "Not released: it misses its budgets."
    return "soft", "Not released: another variant was selected."


def _pairs(facts: Facts) -> Iterator[tuple[str, str, int, int, str, str]]:
    """(stage, other, detections matched, unmatched, largest difference of boxes, of scores) of the certificate."""
    for images in facts.certificate.image_sets.values():
        for name, pair in images.pairs.items():
            one, _, other = name.partition(":")
            box, score = (
                "–" if value is None else f"{value:.4f}" for value in (pair.max_box_diff, pair.max_score_diff)
            )
            yield words.stage(one), words.stage(other), pair.matched, pair.unmatched, box, score


def _sheet(facts: Facts) -> str | None:
    """detections.png as a URI: what releases without evaluation.json have to show."""
    if facts.subject.files.get(SHEET, ("", LARGEST_PNG + 1))[1] > LARGEST_PNG:
        return None
    data = facts.subject.read(SHEET)
    return data_uri(data, "image/png") if is_png(data) else None
