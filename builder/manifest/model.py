"""What a manifest says of one model, as types. Every value is checked when it is made and never changes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from builder.digest import Digest, digest_json
from builder.manifest.dataset import Dataset, SyntheticDataset
from builder.manifest.datasource import Source
from builder.manifest.fields import Name, Part, Problem, Share, Size, check_line, check_text, refuse
from builder.manifest.network import Model
from builder.manifest.quantization import Float32, Quantization, Uint8Qat
from builder.manifest.training import Train

SCHEMA = 1

_NUMBER = r"(?:0|[1-9][0-9]*)"
_WORD = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
SEMVER = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_WORD}(?:\.{_WORD})*)?$"
"""SemVer 2.0 without build metadata: a version is also an OCI tag, which cannot hold a '+'."""

LACKING = {"tf1.12": ("float16", "int8")}
"""Toolchain -> the types of quantization that its converter does not have."""

_WITHOUT_METRICS = ("tf1.12",)


def _check_schema(value: int) -> int:
    if value != SCHEMA:
        raise refuse(Problem("unknown-value", f"schema {value} is not known", f"this tinsmith reads schema {SCHEMA}"))
    return value


class Chosen(Part):
    """A toolchain of tinsmith's, or one's own image that has the same packages."""

    name: Annotated[
        Literal["tf1.12", "tf1.15", "tf1.15-mkl"],
        Field(description="The packages: TensorFlow 1.12.3, 1.15.5 or Intel's 1.15.2."),
    ]
    image: Annotated[
        Annotated[str, StringConstraints(pattern=r"^(?:[a-z0-9][a-zA-Z0-9._/:-]*@)?sha256:[0-9a-f]{64}$")] | None,
        Field(description="An image of one's own to run the steps in, host/repository@sha256:…"),
    ] = None


class Verify(Part):
    """Budgets a release must keep; what is left out is measured but not judged."""

    min_map50: Annotated[Share | None, Field(description="Least mAP at IoU 0.5, of the released .tflite.")] = None
    max_size: Annotated[Size | None, Field(description="Most bytes of the .tflite: 1.5 MB, 800 KiB or a number.")] = (
        None
    )
    max_map_drop: Annotated[
        Share | None, Field(description="Most mAP that a float32 .tflite may lose against the frozen graph.")
    ] = None
    max_quant_drop: Annotated[
        Share | None, Field(description="Most mAP that a quantized .tflite may lose against the float graph.")
    ] = None
    max_latency_ms: Annotated[
        float | None, Field(gt=0, le=10**6, description="Most milliseconds a picture, on the building machine.")
    ] = None


class Release(Part):
    """What is said of the released model."""

    license: Annotated[
        str,
        StringConstraints(max_length=100),
        AfterValidator(check_line),
        Field(description="SPDX identifier of the model's licence."),
    ]
    description: Annotated[
        str,
        StringConstraints(max_length=2000),
        AfterValidator(check_text),
        Field(description="What the model finds, and in which pictures."),
    ]
    authors: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=200), AfterValidator(check_line)], ...],
        Field(description="Who answers for it."),
    ] = ()


class Manifest(Part):
    """A model to build. ``model_dump(mode="json")`` gives plain data with every default filled in."""

    schema_version: Annotated[
        int,
        AfterValidator(_check_schema),
        WithJsonSchema({"const": SCHEMA, "description": "The version of this language."}),
        Field(alias="schema"),
    ]
    name: Annotated[Name, Field(description="The release's name: lower-case letters, digits and hyphens.")]
    version: Annotated[
        str,
        StringConstraints(pattern=SEMVER, max_length=64),
        Field(description="Semantic version. A released version never changes: raise it for every new model."),
    ]
    toolchain: Annotated[Chosen, Field(description="The packages that train and convert.")]
    dataset: Annotated[Dataset, Field(description="The pictures and what is in them.")]
    model: Annotated[Model, Field(description="The network, and how its answer is made.")]
    train: Annotated[Train, Field(description="How it learns.")]
    quantization: Annotated[Quantization, Field(description="In which numbers the model computes.")] = Float32(
        type="float32"
    )
    verify: Annotated[Verify, Field(description="Budgets: a build that misses one is not released.")] = Verify()
    release: Annotated[Release, Field(description="What is said of the model.")]

    @classmethod
    def long_form(cls, plain: Any) -> Any:
        """``plain`` with every short form written out: a word where a section stands for it."""
        if not isinstance(plain, dict):
            return plain
        whole = dict(plain)
        for key, inner in (("toolchain", "name"), ("quantization", "type")):
            if isinstance(whole.get(key), str):
                whole[key] = {inner: whole[key]}
        train = whole.get("train")
        if isinstance(train, dict) and train.get("init") == "none":
            whole["train"] = {key: value for key, value in train.items() if key != "init"}
        return whole

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

    @model_validator(mode="after")
    def _toolchain_can(self) -> Manifest:
        quantization = self.quantization
        kind = quantization.type
        if kind in LACKING.get(self.toolchain.name, ()):
            able = ", ".join(name for name in ("tf1.15", "tf1.15-mkl") if kind not in LACKING.get(name, ()))
            message = f"toolchain {self.toolchain.name} cannot convert to {kind}"
            raise refuse(Problem("unsupported", message, f"these can: {able}", ("quantization",)))
        if self.train.validation is not None and self.toolchain.name in _WITHOUT_METRICS:
            message = f"toolchain {self.toolchain.name} has no pycocotools, which validation measures with"
            raise refuse(Problem("unsupported", message, "toolchain: tf1.15, or remove it", ("train", "validation")))
        if self.train.evaluate_every is not None and self.toolchain.name in _WITHOUT_METRICS:
            message = f"toolchain {self.toolchain.name} has no pycocotools, which looks at a training measure with"
            raise refuse(Problem("no-effect", message, "toolchain: tf1.15, or remove it", ("train", "evaluate_every")))
        if self.train.cpu_class != "x86-64-v3" and self.toolchain.name != "tf1.15":
            message = f"toolchain {self.toolchain.name} has no training kernels, which cpu_class is for"
            raise refuse(Problem("no-effect", message, "toolchain: tf1.15, or remove it", ("train", "cpu_class")))
        if isinstance(quantization, Uint8Qat) and quantization.delay >= quantization.steps:
            message = f"delay {quantization.delay} leaves none of the {quantization.steps} steps to rounding"
            raise refuse(Problem("out-of-range", message, "shorten it", ("quantization", "delay")))
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Manifest:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            at = ("train", "init", "checkpoint", "name")
            raise refuse(Problem("duplicate-value", f"two sources are called {names[0]}", "rename one", at))
        return self

    @property
    def sources(self) -> tuple[Source, ...]:
        """The named sources of files: the dataset's, then the checkpoint's."""
        found = () if isinstance(self.dataset, SyntheticDataset) else (self.dataset.source,)
        init = self.train.init
        return found if init is None or init.checkpoint is None else (*found, init.checkpoint)

    @property
    def digest(self) -> Digest:
        """Over what the manifest says, not how: comments, layout and the order of keys do not change it."""
        return digest_json(self.model_dump(mode="json"))
