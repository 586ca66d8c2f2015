"""The ``train`` section: how long, how fast, from which seed and with which augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Tag, model_validator

from builder.manifest.fields import Part, Problem, Seed, case, refuse, tagged, unique
from builder.manifest.shape import InputShape

Rate = Annotated[float, Field(gt=0, le=10)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Augmentation = Literal["horizontal_flip", "random_crop", "random_expand", "color"]


class Adam(Part):
    type: Literal["adam"]
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Rate = 1e-8


class RmsProp(Part):
    type: Literal["rmsprop"]
    decay: Decay = 0.9
    momentum: Decay = 0.9
    epsilon: Rate = 1.0


class Momentum(Part):
    type: Literal["momentum"]
    momentum: Decay = 0.9


Optimizer = Annotated[
    Annotated[Adam, Tag(case("adam"))]
    | Annotated[RmsProp, Tag(case("rmsprop"))]
    | Annotated[Momentum, Tag(case("momentum"))],
    tagged("type", {name: case(name) for name in ("adam", "rmsprop", "momentum")}),
]


class LearningRate(Part):
    """``base`` is reached after ``warmup_steps`` of linear growth; ``cosine`` then falls to 0 at the last step."""

    schedule: Literal["cosine", "constant"] = "cosine"
    base: Rate
    warmup_steps: Annotated[int, Field(ge=0, le=10**6)] = 0


class Progressive(Part):
    """The first ``steps`` run on smaller pictures, which is faster; the weights do not depend on their size."""

    input_shape: InputShape
    steps: Annotated[int, Field(ge=1, le=10**6)]


class Train(Part):
    steps: Annotated[int, Field(ge=1, le=10**6)]
    batch_size: Annotated[int, Field(ge=1, le=512)]
    seed: Seed = 1
    optimizer: Optimizer
    learning_rate: LearningRate
    augmentation: Annotated[tuple[Augmentation, ...], AfterValidator(unique("augmentation"))] = ()
    checkpoint_every: Annotated[int, Field(ge=1, le=10**6)] = 100

    progressive: Progressive | None = None

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
