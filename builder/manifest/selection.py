"""The ``select`` section: which variants of a model are released."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from builder.manifest.fields import Part


class Select(Part):
    """``select: budgets`` keeps the variants that meet the budgets; with ``best`` only the best of them."""

    best: Annotated[
        Literal["map", "map50", "size", "latency"] | None,
        Field(description="The figure by which one variant is kept: mAP, mAP@0.5, bytes or milliseconds."),
    ] = None
