"""How gradients become updates: the optimisers, and the learning rate over the steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from builder.manifest.fields import Part, Problem, case, refuse, tagged

Rate = Annotated[float, Field(gt=0, le=10)]
Decay = Annotated[float, Field(ge=0, lt=1)]


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


class Drop(Part):
    """From ``step`` on, the rate is multiplied by ``factor``."""

    step: Annotated[int, Field(ge=1, le=10**6, description="The first step at the new rate, counted from 0.")]
    factor: Annotated[float, Field(gt=0, le=1, description="What the rate before is multiplied by.")] = 0.1


class LearningRate(Part):
    """How large the steps are, and when."""

    schedule: Annotated[
        Literal["cosine", "constant", "steps"],
        Field(description="'cosine' falls to 0 at the last step; 'steps' falls where 'drops' says."),
    ] = "cosine"
    base: Annotated[Rate, Field(description="The rate after warm-up.")]
    warmup_steps: Annotated[int, Field(ge=0, le=10**6, description="Steps of linear growth up to 'base'.")] = 0
    drops: Annotated[
        tuple[Drop, ...], Field(max_length=20, description="Where the rate falls, in order; only for 'steps'.")
    ] = ()

    @model_validator(mode="after")
    def _drops_fit(self) -> LearningRate:
        if self.schedule == "steps" and not self.drops:
            raise refuse(Problem("missing-key", "schedule 'steps' falls nowhere", "drops: [{step: 800, factor: 0.1}]"))
        if self.schedule != "steps" and self.drops:
            message = f"schedule '{self.schedule}' does not read drops"
            raise refuse(Problem("no-effect", message, "schedule: steps, or remove it", ("drops",)))
        problems = [
            Problem(
                "out-of-range",
                f"drop at step {later.step} is not after step {earlier.step}",
                "put them in order",
                ("drops", at),
            )
            for at, (earlier, later) in enumerate(pairwise(self.drops), 1)
            if later.step <= earlier.step
        ]
        if problems:
            raise refuse(*problems)
        return self
