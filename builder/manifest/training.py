"""The ``train`` section: how long, how fast, from which seed and with which augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Tag, model_validator

from builder.manifest.fields import Part, Problem, Seed, case, refuse, tagged, unique
from builder.manifest.shape import InputShape
from builder.manifest.warmstart import WarmStart

Rate = Annotated[float, Field(gt=0, le=10)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Augmentation = Literal["horizontal_flip", "random_crop", "random_expand", "color"]


CpuClass = Literal["x86-64-v3", "x86-64-v4"]


class Adam(Part):
    """Kingma and Ba, 2014."""

    type: Literal["adam"]
    beta1: Annotated[Decay, Field(description="Decay of the mean gradient.")] = 0.9
    beta2: Annotated[Decay, Field(description="Decay of the mean squared gradient.")] = 0.999
    epsilon: Annotated[Rate, Field(description="Added to the root of the mean square.")] = 1e-8


class RmsProp(Part):
    """Hinton, 2012, with momentum, as the Object Detection API has it for this network."""

    type: Literal["rmsprop"]
    decay: Annotated[Decay, Field(description="Decay of the mean squared gradient.")] = 0.9
    momentum: Annotated[Decay, Field(description="Share of the last update in the next.")] = 0.9
    epsilon: Annotated[Rate, Field(description="Added to the mean square.")] = 1.0


class Momentum(Part):
    """Stochastic gradient descent with Nesterov's momentum."""

    type: Literal["momentum"]
    momentum: Annotated[Decay, Field(description="Share of the last update in the next.")] = 0.9


Optimizer = Annotated[
    Annotated[Adam, Tag(case("adam"))]
    | Annotated[RmsProp, Tag(case("rmsprop"))]
    | Annotated[Momentum, Tag(case("momentum"))],
    tagged("type", {name: case(name) for name in ("adam", "rmsprop", "momentum")}),
]


class LearningRate(Part):
    """How large the steps are, and when."""

    schedule: Annotated[Literal["cosine", "constant"], Field(description="'cosine' falls to 0 at the last step.")] = (
        "cosine"
    )
    base: Annotated[Rate, Field(description="The rate after warm-up.")]
    warmup_steps: Annotated[int, Field(ge=0, le=10**6, description="Steps of linear growth up to 'base'.")] = 0


class Progressive(Part):
    """The first ``steps`` run on smaller pictures, which is faster; the weights do not depend on their size."""

    input_shape: InputShape
    steps: Annotated[int, Field(ge=1, le=10**6, description="Steps on the smaller pictures.")]


class Train(Part):
    """How the network learns."""

    steps: Annotated[int, Field(ge=1, le=10**6, description="Updates of the weights, each on one batch.")]
    batch_size: Annotated[int, Field(ge=1, le=512, description="Pictures in a batch.")]
    seed: Annotated[Seed, Field(description="Weights, order and augmentation follow from it.")] = 1
    init: Annotated[WarmStart | None, Field(description="Weights to start from; 'none' starts from random ones.")] = (
        None
    )
    optimizer: Annotated[Optimizer, Field(description="How gradients become updates.")]
    learning_rate: Annotated[LearningRate, Field(description="How large the updates are.")]
    augmentation: Annotated[
        tuple[Augmentation, ...],
        Field(description="How training pictures are varied."),
        AfterValidator(unique("augmentation")),
    ] = ()
    checkpoint_every: Annotated[
        int, Field(ge=1, le=10**6, description="Steps between checkpoints, which a stopped training goes on from.")
    ] = 100
    cpu_class: Annotated[
        CpuClass, Field(description="The instructions that training may use: 'x86-64-v4' is AVX-512. Same result.")
    ] = "x86-64-v3"
    progressive: Annotated[Progressive | None, Field(description="Begin on smaller pictures, which costs less.")] = None

    @model_validator(mode="after")
    def _phases_end(self) -> Train:
        warmup = self.learning_rate.warmup_steps
        if warmup >= self.steps:
            message = f"warmup_steps {warmup} leaves none of the {self.steps} steps"
            raise refuse(Problem("out-of-range", message, "shorten it", ("learning_rate", "warmup_steps")))
        if self.progressive is not None and self.progressive.steps >= self.steps:
            message = f"progressive leaves none of the {self.steps} steps to whole pictures"
            raise refuse(Problem("out-of-range", message, "shorten it", ("progressive", "steps")))
        return self
