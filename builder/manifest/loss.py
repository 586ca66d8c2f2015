"""What training makes small."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from builder.manifest.fields import Part, case, tagged

Weight = Annotated[float, Field(gt=0, le=100)]


class Focal(Part):
    """Every anchor is learnt from, the easy ones little (Lin et al., 2017)."""

    type: Literal["focal"]
    alpha: Annotated[float, Field(gt=0, lt=1, description="Weight of objects; background has the rest of 1.")] = 0.5
    gamma: Annotated[float, Field(ge=0, le=10, description="How much less the easy anchors weigh.")] = 2.0
    localization_weight: Annotated[Weight, Field(description="Weight of boxes beside classes.")] = 0.3


class Mined(Part):
    """The hardest background anchors of each picture, as many as objects want (Liu et al., SSD, 2016)."""

    type: Literal["mined"]
    negatives_per_positive: Annotated[
        int, Field(ge=1, le=100, description="Background anchors for each anchor on an object.")
    ] = 3
    least_negatives: Annotated[int, Field(ge=0, le=1000, description="Background anchors a picture, at least.")] = 3
    localization_weight: Annotated[Weight, Field(description="Weight of boxes beside classes.")] = 1.0


Loss = Annotated[
    Annotated[Focal, Tag(case("focal"))] | Annotated[Mined, Tag(case("mined"))],
    tagged("type", {name: case(name) for name in ("focal", "mined")}),
]
