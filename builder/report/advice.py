"""What a reader is advised: from which score on to show detections, and when to trust a model with nothing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.report import words

if TYPE_CHECKING:
    from builder.report.facts import Facts  # which `tinsmith show` need not load

NO_SCORE = "No score can be advised: nothing that the model finds is right."


def nothing_right(map50: float, precision: float, recall: float) -> bool:
    """Does a model with this mAP@0.5, and these at its advised score, find nothing that is annotated?"""
    return not (map50 and precision and recall)


def has_score(facts: Facts) -> bool:
    """Is there a score to advise? Not of a canary, and not where nothing is right."""
    metrics = facts.metrics
    if metrics is None or facts.subject.canary:
        return False
    point = metrics.operating_point
    return not nothing_right(metrics.released.map50, point.precision, point.recall)


def advice(facts: Facts) -> str:
    """Which detections to show; nothing of a canary."""
    if facts.metrics is None or facts.subject.canary:
        return ""
    if not has_score(facts):
        return NO_SCORE
    point = facts.metrics.operating_point
    return (
        f"Show detections from a score of {words.share(point.score)}: precision is {words.share(point.precision)} "
        f"there, recall {words.share(point.recall)}."
    )


def beaten(map50: float, constant: float) -> str:
    """A warning where one constant box a class has a larger mAP@0.5 (``constant``) than the model; else nothing."""
    if map50 >= constant:
        return ""
    return f"does not beat one constant box a class: mAP@0.5 {words.share(map50)}, the box {words.share(constant)}"


def warning(facts: Facts) -> str:
    """A sentence for the head of a report; nothing of a canary, or where there is nothing to warn of."""
    if facts.metrics is None or facts.subject.canary:
        return ""
    said = beaten(facts.metrics.released.map50, facts.metrics.constant_baseline.map50)
    return f"The model {said}." if said else ""
