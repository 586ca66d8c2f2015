"""The documents of a release as a report needs them, read from bytes that nobody vouches for.

Every number is finite and bounded, every list and text has a longest length. What a report does not need is passed
over, and what earlier versions of tinsmith did not write is None or empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from builder.errors import IntegrityError

LARGEST = 32 << 20
"""Bytes of a JSON document that are read at most."""
MOST_CLASSES = 1000
MOST_BOXES = 1000
MOST_POINTS = 2000
RELEASED, FROZEN = "tflite_litert", "frozen"

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=4000)]
Recalls = Annotated[list[Share | None], Field(min_length=101, max_length=101)]
Point = Annotated[list[Number], Field(min_length=2, max_length=2)]
Box = Annotated[list[Number], Field(min_length=4, max_length=4)]

Document = TypeVar("Document", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, protected_namespaces=())


class ClassFigures(_Part):
    """Of one class: average precision (at IoU 0.5 to 0.95, and at 0.5), recall, and how many boxes are annotated."""

    ap: Share
    ap50: Share
    ar100: Share
    boxes: Count


class Stage(_Part):
    """COCO's figures of a stage: the frozen graph, or the .tflite in one runtime."""

    map: Share
    map50: Share
    map75: Share | None = None
    ar1: Share | None = None
    ar10: Share | None = None
    ar100: Share | None = None
    per_class: Annotated[dict[Word, ClassFigures], Field(max_length=MOST_CLASSES)] = {}


class ConstantBoxes(Stage):
    """What answers get that are the same for every picture; with one box a class, and with several."""

    several_boxes: Stage | None = None


class Degenerate(_Part):
    constant_answer: bool
    reason: Text | None = None


class OperatingPoint(_Part):
    score: Share
    precision: Share
    recall: Share


class Kind(_Part):
    type: Word


class Metrics(_Part):
    """metrics.json; ``images`` were evaluated, ``size`` is the .tflite's in bytes."""

    stages: Annotated[dict[Word, Stage], Field(max_length=16)]
    constant_baseline: ConstantBoxes
    degenerate: Degenerate
    operating_point: OperatingPoint
    quantization: Kind
    images: Count
    size: Count

    @property
    def released(self) -> Stage:
        return self.stages[RELEASED]


class Curve(_Part):
    """``precision`` at recall 0, 0.01 … 1, and the ``score`` from which detections reach it; None where none do."""

    precision: Recalls
    score: Annotated[list[Number | None], Field(min_length=101, max_length=101)]
    boxes: Count


class Confusion(_Part):
    """``counts`` has a row for each class and one for nothing annotated, a column for each and one for not found."""

    classes: Annotated[list[Word], Field(max_length=MOST_CLASSES)]
    counts: Annotated[
        list[Annotated[list[Count], Field(max_length=MOST_CLASSES + 1)]], Field(max_length=MOST_CLASSES + 1)
    ]


class Annotated_(_Part):
    """``box``: ymin, xmin, ymax, xmax as shares of the picture; ``class_`` counts from 0."""

    box: Box
    class_: Annotated[int, Field(alias="class", ge=-(1 << 31), le=1 << 31)]


class Detection(Annotated_):
    score: Number


class Picture(_Part):
    """``width`` and ``height`` are of the picture as it was given; the file ``picture`` has the model's input size."""

    file_name: Text
    width: Annotated[int, Field(ge=1, le=10**6)]
    height: Annotated[int, Field(ge=1, le=10**6)]
    picture: Word
    annotated: Annotated[list[Annotated_], Field(max_length=MOST_BOXES)]
    frozen: Annotated[list[Detection], Field(max_length=MOST_BOXES)]
    tflite_litert: Annotated[list[Detection], Field(max_length=MOST_BOXES)]


class Worst(_Part):
    id: Count
    missed: Count
    wrong: Count
    extra: Count


class Evaluation(_Part):
    """evaluation.json: curves, confusion, and pictures with what was found in them."""

    model_digest: Word
    iou: Share
    score: Number
    precision_recall: Annotated[dict[Word, Curve], Field(max_length=MOST_CLASSES)]
    confusion: Confusion
    pictures: Annotated[dict[Word, Picture], Field(max_length=64)]
    shown: Annotated[list[Count], Field(max_length=32)]
    worst: Annotated[list[Worst], Field(max_length=32)]


class TrainingStage(_Part):
    """``curves``: name of a figure -> [step, value] points."""

    step: Word
    steps: Count
    weights_of_step: Count | None = None
    curves: Annotated[dict[Word, Annotated[list[Point], Field(max_length=MOST_POINTS)]], Field(max_length=32)]


class Training(_Part):
    """training.json: how the losses, the learning rate and what training looked at went."""

    stages: Annotated[list[TrainingStage], Field(max_length=8)]


class Milliseconds(_Part):
    median: Positive
    p90: Positive | None = None
    min: Positive | None = None


class Runtime(_Part):
    name: Word
    version: Word


class Latency(_Part):
    """``cpu`` is its own name; memory in MB (10^6 bytes)."""

    cpu: Text
    threads: Count
    latency_ms: Milliseconds
    runs: Count | None = None
    load_ms: Positive | None = None
    peak_memory_mb: Positive | None = None
    runtime: Runtime | None = None


class StepRun(_Part):
    seconds: Positive
    key: Word | None = None
    engine: Word | None = None


class Run(_Part):
    """run.json: facts of the run that built it."""

    latency: Latency
    steps: Annotated[dict[Word, StepRun], Field(max_length=64)] = {}


class Split(_Part):
    digest: Word
    images: Count


class Data(_Part):
    digest: Word | None = None
    splits: Annotated[dict[Word, Split], Field(max_length=16)] = {}


class Input(_Part):
    shape: Annotated[list[Count], Field(max_length=8)] = []
    dtype: Word = ""


class Labels(_Part):
    names: Annotated[list[Word], Field(max_length=MOST_CLASSES)] = []


class Metadata(_Part):
    """metadata.json: what the model is, what goes in, and where it comes from."""

    license: Text = ""
    description: Text = ""
    authors: Annotated[list[Text], Field(max_length=100)] = []
    architecture: dict[Word, JsonValue] = {}
    quantization: Kind | None = None
    input: Input = Input()
    labels: Labels = Labels()
    dataset: Data = Data()
    toolchains: Annotated[dict[Word, Word], Field(max_length=16)] = {}


class Pair(_Part):
    """How far the answers of two stages are apart; differences are shares of the picture, and of scores."""

    matched: Count
    unmatched: Count
    max_box_diff: Number | None = None
    max_score_diff: Number | None = None


class ImageSet(_Part):
    pairs: Annotated[dict[Word, Pair], Field(max_length=16)] = {}


class Certificate(_Part):
    """certificate.json: does the .tflite behave as the graph that was trained?"""

    runtimes: Annotated[dict[Word, Runtime], Field(max_length=16)] = {}
    image_sets: Annotated[dict[Word, ImageSet], Field(max_length=16)] = {}


class Rejected(_Part):
    file: str
    reason: str


class Ingested(_Part):
    """report.json of the ingest step: the pictures that it could not use."""

    rejected: list[Rejected] = []


_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, JsonValue])


def parse(kind: type[Document], data: bytes, what: str) -> Document:
    """``data`` as a ``kind``. IntegrityError saying that ``what`` cannot be read, if it is none."""
    _check_size(data, what)
    try:
        return kind.model_validate_json(data)
    except (ValidationError, ValueError, RecursionError) as error:
        raise unreadable(what, error) from error


def checked(kind: type[Document], value: Mapping[str, Any], what: str) -> Document:
    """As ``parse``, of JSON that was read already."""
    try:
        return kind.model_validate(value)
    except (ValidationError, ValueError, RecursionError) as error:
        raise unreadable(what, error) from error


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """``data`` as any JSON object, not nested deeply. IntegrityError if it is none."""
    _check_size(data, what)
    try:
        return _OBJECT.validate_json(data)
    except (ValidationError, ValueError, RecursionError) as error:
        raise unreadable(what, error) from error


def unreadable(what: str, error: Exception) -> IntegrityError:
    """The first thing that is wrong, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(item) for item in first["loc"])
        reason = f"{place}: {first['msg']}" if place else first["msg"]
    else:
        reason = str(error)
    return IntegrityError(f"{what} cannot be read: {ascii(reason)[1:-1][:300]}")


def _check_size(data: bytes, what: str) -> None:
    if len(data) > LARGEST:
        raise IntegrityError(f"{what} is larger than {LARGEST:,} bytes")
