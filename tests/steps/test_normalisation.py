"""Mean and deviation are found by asking, and refused where they would be a lie."""

from __future__ import annotations

from collections.abc import Callable

import contract
import normalisation
import numpy as np
import pytest

Preprocess = Callable[[np.ndarray], np.ndarray]


@pytest.mark.parametrize(
    ("preprocess", "mean", "std", "span"),
    [
        (lambda x: np.float32(2.0 / 255.0) * x - np.float32(1), 127.5, 127.5, [-1.0, 1.0]),
        (lambda x: x / np.float32(128) - np.float32(1), 128.0, 128.0, [-1.0, 0.992188]),
        (lambda x: x / np.float32(255), 0.0, 255.0, [0.0, 1.0]),
        (lambda x: x, 0.0, 1.0, [0.0, 255.0]),
    ],
)
def test_found_in_the_shortest_numbers(preprocess: Preprocess, mean: float, std: float, span: list[float]) -> None:
    assert normalisation.derive(preprocess, 96, 128) == {"mean": mean, "std": std, "range": span}


@pytest.mark.parametrize(
    "preprocess",
    [
        pytest.param(lambda x: x - np.float32([123.68, 116.779, 103.939]), id="a mean for each channel"),
        pytest.param(lambda x: x[..., ::-1] / 255, id="channels swapped"),
        pytest.param(lambda x: (x / 255) ** 2, id="not affine"),
        pytest.param(lambda x: -x, id="negative"),
        pytest.param(lambda x: x * 0, id="constant"),
        pytest.param(lambda x: x[:, ::2], id="another shape"),
    ],
)
def test_refused(preprocess: Preprocess) -> None:
    with pytest.raises(contract.Failure) as failure:
        normalisation.derive(preprocess, 96, 96)
    assert failure.value.code == "export-normalisation"
