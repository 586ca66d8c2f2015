"""The ``train`` section: how long, how fast, from which seed and with which augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from builder.manifest.fields import Part, Problem, Seed, refuse, unique
from builder.manifest.loss import Focal, Loss
from builder.manifest.shape import InputShape
from builder.manifest.updates import LearningRate, Optimizer
from builder.manifest.warmstart import WarmStart

Augmentation = Literal["horizontal_flip", "random_crop", "random_expand", "ssd_random_crop", "color"]

CpuClass = Literal["x86-64-v3", "x86-64-v4"]


class Validation(Part):
    """Pictures held out of the training part, to choose by. Nothing is ever chosen by the evaluation split."""

    share: Annotated[float, Field(gt=0, le=0.5, description="Share of the training pictures.")] = 0.15
    keep: Annotated[
        Literal["best", "last"], Field(description="Which weights are released: of the best look, or of the last step.")
    ] = "best"
    patience: Annotated[
        int | None, Field(ge=1, le=1000, description="Looks without a better mAP after which training ends early.")
    ] = None


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
    loss: Annotated[Loss, Field(description="What is made small.")] = Focal(type="focal")
    clip_norm: Annotated[
        float, Field(ge=0, le=10**4, description="Largest norm of all gradients together; 0 clips nothing.")
    ] = 10.0
    ema: Annotated[
        float | None,
        Field(
            gt=0, lt=1, description="Decay of the moving average of the weights that is released instead of the last."
        ),
    ] = None
    validation: Annotated[
        Validation | None, Field(description="Hold pictures out of training, to end early or keep the best weights.")
    ] = None
    evaluate_every: Annotated[
        int | None, Field(ge=1, le=10**6, description="Steps between looks at the training; eight looks if not given.")
    ] = None
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
    def _one_crop(self) -> Train:
        others = {"random_crop", "random_expand"}
        twice = [at for at, name in enumerate(self.augmentation) if name in others]
        if twice and "ssd_random_crop" in self.augmentation:
            message = f"{self.augmentation[twice[0]]} and ssd_random_crop both choose what is seen of a picture"
            raise refuse(Problem("conflict", message, "remove one", ("augmentation", twice[0])))
        return self

    @model_validator(mode="after")
    def _phases_end(self) -> Train:
        warmup = self.learning_rate.warmup_steps
        if warmup >= self.steps:
            message = f"warmup_steps {warmup} leaves none of the {self.steps} steps"
            raise refuse(Problem("out-of-range", message, "shorten it", ("learning_rate", "warmup_steps")))
        late = [at for at, drop in enumerate(self.learning_rate.drops) if drop.step >= self.steps]
        if late:
            message = f"drop at step {self.learning_rate.drops[late[0]].step} comes after the {self.steps} steps"
            raise refuse(
                Problem("out-of-range", message, "an earlier step", ("learning_rate", "drops", late[0], "step"))
            )
        if self.progressive is not None and self.progressive.steps >= self.steps:
            message = f"progressive leaves none of the {self.steps} steps to whole pictures"
            raise refuse(Problem("out-of-range", message, "shorten it", ("progressive", "steps")))
        return self
