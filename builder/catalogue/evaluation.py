"""The precision of a release at every recall, from its evaluation.json, where it has one."""

from __future__ import annotations

from itertools import takewhile
from typing import Annotated, Literal

from pydantic import Field

from builder.catalogue.facts import LARGEST, Count, Share, Text
from builder.release.release import Release
from builder.trust.document import Open, malformed, read_document

EVALUATION = "evaluation.json"


class Curve(Open):
    """``precision`` at a recall of 0, 0.01, … 1; null where that recall is not reached."""

    precision: Annotated[list[Share | None], Field(min_length=101, max_length=101)]
    boxes: Count

    @property
    def points(self) -> list[tuple[float, float]]:
        """(recall, precision), as far as the curve reaches: beyond that COCO's metrics say 0."""
        reached = takewhile(lambda value: value is not None and value > 0, self.precision)
        return [(at / 100, value) for at, value in enumerate(reached) if value is not None]


class Evaluation(Open):
    format: Literal[1]
    model_digest: str
    precision_recall: Annotated[dict[Text, Curve], Field(max_length=10_000)]


def evaluation_of(data: bytes, release: Release, model: str) -> Evaluation:
    """IntegrityError if ``data`` is no evaluation, or one of another model than the one with the digest ``model``."""
    what = f"{EVALUATION} of {release.ref}"
    found = read_document(data, Evaluation, what, largest=LARGEST)
    if found.model_digest != model:
        raise malformed(what, "it is of another model")
    return found
