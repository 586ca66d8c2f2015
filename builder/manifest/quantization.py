"""The ``quantization`` section: in which numbers the released model computes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from builder.manifest.fields import Part, Seed, case, tagged

TYPES = ("float32", "float16", "dynamic", "int8", "uint8-qat")


class Float32(Part):
    """Not quantized."""

    type: Literal["float32"]


class Float16(Part):
    """Weights in 16 bits: half the size, computed in 32 bits."""

    type: Literal["float16"]


class Dynamic(Part):
    """Weights in 8 bits, quantized after training; what flows between layers stays float."""

    type: Literal["dynamic"]


class Int8(Part):
    """Weights and what flows between layers in 8 bits, quantized after training by calibration."""

    type: Literal["int8"]
    interface: Annotated[
        Literal["float32", "uint8"],
        Field(description="What the model takes: 'float32' is normalised pixels, 'uint8' is pixels as they are."),
    ] = "float32"
    calibration_images: Annotated[
        int, Field(ge=1, le=5000, description="Training pictures that the ranges are measured on.")
    ] = 100
    calibration_seed: Annotated[Seed, Field(description="Chooses those pictures.")] = 1


class Uint8Qat(Part):
    """Quantization-aware training: a fine-tuning of the trained weights under the rounding of 8 bits."""

    type: Literal["uint8-qat"]
    steps: Annotated[int, Field(ge=1, le=10**6, description="Steps of fine-tuning, of the training's batch size.")] = (
        300
    )
    delay: Annotated[int, Field(ge=0, le=10**6, description="Steps before rounding begins (quant_delay).")] = 0
    learning_rate: Annotated[float, Field(gt=0, le=10, description="At the first step; falls to 0 by a cosine.")] = 5e-4


Quantization = Annotated[
    Annotated[Float32, Tag(case("float32"))]
    | Annotated[Float16, Tag(case("float16"))]
    | Annotated[Dynamic, Tag(case("dynamic"))]
    | Annotated[Int8, Tag(case("int8"))]
    | Annotated[Uint8Qat, Tag(case("uint8-qat"))],
    tagged("type", {name: case(name) for name in TYPES}),
]
