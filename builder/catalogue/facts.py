"""What the metadata.json of a release says, as checked types. Nobody vouches for its texts: pages escape them."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from builder.errors import IntegrityError
from builder.release.documents import LABELS, METADATA, MODEL
from builder.release.figures import RELEASED
from builder.release.release import Release
from builder.trust.document import Open, malformed, read_document

LARGEST = 16 << 20
"""Bytes of a JSON file of a release; certificates of 10,000 pictures have 2 MB."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def shown(text: str) -> str:
    """``text`` without signs that have no look of their own: control characters, and those that turn the direction of
    what follows."""
    plain = "".join(
        " " if sign in "\t\n" else "\ufffd" if unicodedata.category(sign) == "Cc" or sign in _TURNING else sign
        for sign in text
    )
    return " ".join(plain.split())


Text = Annotated[str, Field(max_length=4000), AfterValidator(shown)]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]
Share = Annotated[float, Field(ge=-1, le=1)]
"""0 to 1; -1 is what COCO's metrics say where there is nothing to measure."""


class Input(Open):
    """``shape`` is picture, height, width, channels. ``scale`` and ``zero_point`` belong to uint8."""

    shape: tuple[Literal[1], Count, Count, Literal[3]]
    dtype: Literal["float32", "uint8"]
    color: Literal["RGB"]
    mean: float
    std: Annotated[float, Field(gt=0)]
    range: tuple[float, float]
    resize: Text
    scale: float | None = None
    zero_point: int | None = None


class Tensor(Open):
    index: Annotated[int, Field(ge=0, le=3)]
    name: Text
    meaning: Text
    description: Text
    dtype: Text
    shape: Annotated[list[Count], Field(max_length=8)]


class Nms(Open):
    iou_threshold: float
    mode: Text = ""


class Outputs(Open):
    box_format: Text
    max_detections: Count
    nms: Nms
    tensors: Annotated[list[Tensor], Field(min_length=4, max_length=4)]


class Labels(Open):
    names: Annotated[list[Text], Field(min_length=1, max_length=10_000)]


class PerClass(Open):
    ap: Share
    ap50: Share
    boxes: Count


class Stage(Open):
    map: Share
    map50: Share
    per_class: Annotated[dict[Text, PerClass], Field(default_factory=dict, max_length=10_000)]


class Several(Open):
    map: Share
    map50: Share


class Baseline(Open):
    map: Share
    map50: Share
    several_boxes: Several


class Metrics(Open):
    images: Count
    model_digest: str
    stages: Annotated[dict[Text, Stage], Field(max_length=16)]
    constant_baseline: Baseline


class OperatingPoint(Open):
    score: Share
    precision: Share
    recall: Share


class Quantization(Open):
    type: Text
    interface: Text = "float32"


class Architecture(Open):
    name: Text
    depth_multiplier: float | None = None


class Split(Open):
    digest: Text
    images: Count


class Dataset(Open):
    splits: Annotated[dict[Text, Split], Field(max_length=16)]


class Facts(Open):
    """The file as the package step writes it, format 1."""

    format: Literal[1]
    name: str
    version: str
    task: Text
    license: Text
    description: Text
    authors: Annotated[list[Text], Field(max_length=100)]
    architecture: Architecture
    quantization: Quantization
    input: Input
    outputs: Outputs
    operating_point: OperatingPoint
    labels: Labels
    metrics: Metrics
    dataset: Dataset
    toolchains: Annotated[dict[Text, Text], Field(max_length=16)]
    manifest_digest: Text

    @property
    def released(self) -> Stage:
        """The figures of the .tflite in the runtime of phones."""
        return self.metrics.stages[RELEASED]

    @property
    def tested_on(self) -> str:
        """Tells test sets apart: figures compare only where it is the same."""
        return self.dataset.splits["eval"].digest

    @property
    def advised(self) -> float | None:
        """The score to show detections from; None if nothing that is right is shown at the operating point."""
        point = self.operating_point
        return point.score if min(point.precision, point.recall) > 0 else None

    @property
    def beaten(self) -> bool:
        """Does one constant box get a higher mAP@0.5?"""
        return self.released.map50 < self.metrics.constant_baseline.map50

    @property
    def quantized(self) -> str:
        """In words, with the type of the input where that is another than usual."""
        kind = self.quantization.type
        return f"{kind}, uint8 input" if self.input.dtype == "uint8" and not kind.startswith("uint8") else kind


def facts_of(data: bytes, labels: bytes, release: Release) -> Facts:
    """The metadata.json in ``data`` and its labels.txt. IntegrityError if it is none, or of another release."""
    what = f"{METADATA} of {release.ref}"
    facts = read_document(data, Facts, what, largest=LARGEST)
    if (facts.name, facts.version) != (release.name, release.version):
        raise malformed(what, f"it is of {facts.name[:80]!a} {facts.version[:80]!a}")
    if facts.metrics.model_digest != release.files[MODEL][0]:
        raise malformed(what, f"its figures are of another model than {MODEL}")
    if RELEASED not in facts.metrics.stages or "eval" not in facts.dataset.splits:
        raise malformed(what, "it has no figures of the released model")
    if [shown(line) for line in _lines(labels, release)] != list(facts.labels.names):
        raise malformed(what, f"it has other labels than {LABELS}")
    return facts


def _lines(labels: bytes, release: Release) -> list[str]:
    try:
        return labels.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise IntegrityError(f"{LABELS} of {release.ref} is not UTF-8") from error
