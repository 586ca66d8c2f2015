"""The size of the picture that a network takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from builder.manifest.fields import Problem, refuse

LEAST_SIDE, MOST_SIDE = 96, 1024


def check_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` if it is [height, width, 3] within the limits."""
    if len(shape) != 3:
        raise refuse(Problem("out-of-range", f"input_shape has {len(shape)} numbers", "[height, width, 3]"))
    height, width, channels = shape
    problems = []
    small = [index for index in (0, 1) if shape[index] < LEAST_SIDE]
    large = [index for index in (0, 1) if shape[index] > MOST_SIDE]
    for bad, limit in (
        (small, f"smaller than {LEAST_SIDE}x{LEAST_SIDE}, the least that keeps six feature maps"),
        (large, f"larger than {MOST_SIDE}x{MOST_SIDE}, the most that is supported"),
    ):
        if bad:
            message = f"input_shape {height}x{width} is {limit}"
            problems.append(Problem("out-of-range", message, None, (bad[0],), (bad[-1],)))
    if channels != 3:
        problems.append(Problem("out-of-range", f"input_shape has {channels} channels", "pictures are RGB: 3", (2,)))
    if problems:
        raise refuse(*problems)
    return shape


InputShape = Annotated[
    tuple[int, ...],
    AfterValidator(check_shape),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "integer"},
            "minItems": 3,
            "maxItems": 3,
            "description": f"[height, width, 3] in pixels, {LEAST_SIDE} to {MOST_SIDE} a side.",
        }
    ),
]
"""[height, width, channels] in pixels."""
