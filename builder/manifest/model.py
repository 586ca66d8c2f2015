"""What a manifest says, as types. Every value is checked when it is made and never changes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from builder.digest import Digest, digest_json
from builder.manifest.dataset import Dataset
from builder.manifest.fields import Name, Part, Problem, Share, Size, check_line, check_text, refuse
from builder.manifest.shape import InputShape
from builder.manifest.training import Train

SCHEMA = 1

_NUMBER = r"(?:0|[1-9][0-9]*)"
_WORD = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
SEMVER = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_WORD}(?:\.{_WORD})*)?$"
"""SemVer 2.0 without build metadata: a version is also an OCI tag, which cannot hold a '+'."""


def _check_schema(value: int) -> int:
    if value != SCHEMA:
        raise refuse(Problem("unknown-value", f"schema {value} is not known", f"this tinsmith reads schema {SCHEMA}"))
    return value


class Suppression(Part):
    """Non-maximum suppression: which of several overlapping boxes of a class are kept."""

    iou_threshold: Annotated[float, Field(gt=0, le=1)] = 0.6
    score_threshold: Annotated[float, Field(ge=0, lt=1)] = 1e-8


class Model(Part):
    """The network. ``input_shape`` is [height, width, channels] in pixels."""

    architecture: Literal["ssd_mobilenet_v2"]
    depth_multiplier: Annotated[float, Field(ge=0.1, le=1.4)]
    input_shape: InputShape
    max_detections: Annotated[int, Field(ge=1, le=100)] = 20
    nms: Suppression = Suppression()


class Verify(Part):
    """Budgets a release must keep; what is left out is measured but not judged. ``max_size`` is in bytes."""

    min_map50: Share | None = None
    max_size: Size | None = None
    max_map_drop: Share | None = None
    max_latency_ms: Annotated[float, Field(gt=0, le=10**6)] | None = None


class Release(Part):
    license: Annotated[str, StringConstraints(max_length=100), AfterValidator(check_line)]
    description: Annotated[str, StringConstraints(max_length=2000), AfterValidator(check_text)]
    authors: tuple[Annotated[str, StringConstraints(max_length=200), AfterValidator(check_line)], ...] = ()


class Manifest(Part):
    """A model to build. ``model_dump(mode="json")`` gives plain data with every default filled in."""

    schema_version: Annotated[
        int, AfterValidator(_check_schema), WithJsonSchema({"const": SCHEMA}), Field(alias="schema")
    ]
    name: Name
    version: Annotated[str, StringConstraints(pattern=SEMVER, max_length=64)]
    toolchain: Literal["tf1.15"]
    dataset: Dataset
    model: Model
    train: Train
    quantization: Literal["float32"] = "float32"
    verify: Verify = Verify()
    release: Release

    @model_validator(mode="after")
    def _progressive_is_smaller(self) -> Manifest:
        small = self.train.progressive
        if small is None:
            return self
        pairs = zip(small.input_shape[:2], self.model.input_shape[:2], strict=True)
        larger = [index for index, (side, whole) in enumerate(pairs) if side > whole]
        if larger:
            at = ("train", "progressive", "input_shape")
            message = "progressive begins with a larger picture than the model's input_shape"
            raise refuse(Problem("out-of-range", message, "give a smaller one", (*at, larger[0]), (*at, larger[-1])))
        return self

    @property
    def digest(self) -> Digest:
        """Over what the manifest says, not how: comments, layout and the order of keys do not change it."""
        return digest_json(self.model_dump(mode="json"))
