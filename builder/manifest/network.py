"""The ``model`` section: the network and how its answer is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from builder.manifest.fields import Part, Problem, refuse
from builder.manifest.shape import InputShape


class Suppression(Part):
    """Non-maximum suppression: which of several overlapping boxes are kept."""

    mode: Annotated[
        Literal["fast", "regular"],
        Field(description="'fast': a box has its best class, one suppression for all; 'regular': one a class, slower."),
    ] = "fast"
    iou_threshold: Annotated[float, Field(gt=0, le=1, description="Overlap from which the lesser box goes.")] = 0.6
    score_threshold: Annotated[float, Field(ge=0, lt=1, description="Score below which no box is kept.")] = 1e-8


def _check_ratios(ratios: tuple[float, ...]) -> tuple[float, ...]:
    if 1.0 not in ratios:
        raise refuse(Problem("missing-value", "aspect_ratios has no 1.0", "squares are the anchors' base: add 1.0"))
    twice = [index for index, ratio in enumerate(ratios) if ratio in ratios[:index]]
    if twice:
        raise refuse(Problem("duplicate-value", "the same ratio stands twice", "remove one", (twice[0],)))
    return ratios


class Anchors(Part):
    """The boxes that the network's answers are relative to (Liu et al., SSD, 2016)."""

    min_scale: Annotated[float, Field(gt=0, lt=1, description="Size in the finest map, as share of the picture.")] = 0.2
    max_scale: Annotated[float, Field(gt=0, le=1, description="Size in the coarsest map, as share of it.")] = 0.95
    aspect_ratios: Annotated[
        tuple[Annotated[float, Field(ge=0.05, le=20)], ...],
        Field(min_length=1, max_length=10, description="Width to height, 0.05 to 20; 1.0 must be there."),
        AfterValidator(_check_ratios),
    ] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    reduce_lowest: Annotated[bool, Field(description="Only three anchors a place in the finest map.")] = True


def _check_scales(anchors: Anchors) -> Anchors:
    if anchors.min_scale >= anchors.max_scale:
        raise refuse(Problem("out-of-range", "min_scale is not below max_scale", "swap them", ("min_scale",)))
    return anchors


class Model(Part):
    """The network."""

    architecture: Annotated[
        Literal["ssd_mobilenet_v2", "ssdlite_mobilenet_v2"],
        Field(description="SSD on MobileNet V2; 'ssdlite' has separable convolutions in its heads too."),
    ]
    depth_multiplier: Annotated[
        float, Field(ge=0.1, le=1.4, description="Width of every layer, as a share of the original's channels.")
    ]
    min_depth: Annotated[int, Field(ge=1, le=64, description="Least channels of a layer.")] = 16
    input_shape: InputShape
    max_detections: Annotated[int, Field(ge=1, le=100, description="Most detections in an answer.")] = 20
    nms: Annotated[Suppression, Field(description="Which of overlapping boxes are kept.")] = Suppression()
    anchors: Annotated[
        Anchors, Field(description="Shapes and sizes that boxes are predicted from."), AfterValidator(_check_scales)
    ] = Anchors()
