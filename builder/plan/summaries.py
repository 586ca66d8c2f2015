"""The summaries of many manifest files."""

from __future__ import annotations

from collections.abc import Sequence

from builder.errors import InvalidManifest
from builder.plan.code import StepCode
from builder.plan.summary import Summary, Texts, summarize


def summaries(texts: Sequence[Texts], code: StepCode, *, current: bool = True) -> list[Summary | InvalidManifest]:
    """What ``summarize`` gives, or raises as InvalidManifest, for each of ``texts``, in their order."""
    return [_tried(item, code, current) for item in texts]


def _tried(texts: Texts, code: StepCode, current: bool) -> Summary | InvalidManifest:
    try:
        return summarize(texts, code, current=current)
    except InvalidManifest as error:
        return error
