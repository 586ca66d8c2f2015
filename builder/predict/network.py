"""The layers of SSD MobileNet V2 as the Object Detection API builds them, from a manifest's ``model`` section.

Sources: slim's ``nets/mobilenet/mobilenet_v2.py`` (Sandler et al., "MobileNetV2", 2018) for the base, the API's
``ssd_mobilenet_v2_feature_extractor.py`` and ``feature_map_generators.py`` for the extra layers, and
``convolutional_box_predictor.py`` for the predictors. Held against real graphs by tests/integration/test_prediction.py.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_BASE = (
    # channels, blocks, stride of the first
    (16, 1, 1),
    (24, 2, 2),
    (32, 3, 2),
    (64, 4, 2),
    (96, 3, 1),
    (160, 3, 2),
    (320, 1, 1),
)
_FIRST, _LAST, _EXPANSION = 32, 1280, 6
_TAPPED = 13
"""The block whose expanded input is the first feature map: the API's ``layer_15/expansion_output``, which counts the
first convolution and counts from 1."""
_EXTRA = (512, 256, 256, 128)
_STEP = 8
"""Channels of the base come in multiples of this."""
_BOX_CODE = 4
_REDUCED = 3
"""Anchors a place in the finest map, with ``reduce_lowest``."""
_SCOPE = "FeatureExtractor/MobilenetV2"


@dataclass(frozen=True)
class Shape:
    """What flows between layers."""

    height: int
    width: int
    channels: int

    @property
    def elements(self) -> int:
        return self.height * self.width * self.channels

    def strided(self, stride: int, channels: int) -> Shape:
        """The answer of a SAME convolution: the last, partial stride counts."""
        return Shape(-(-self.height // stride), -(-self.width // stride), channels)


@dataclass(frozen=True)
class Convolution:
    """One convolution with SAME padding and square ``kernel``, with all that follows it up to the next.

    ``scope`` is its name in the graph. ``normalised``: batch norm instead of a bias. ``activated``: ReLU6 follows.
    ``adds``: the block's input is added to its answer.
    """

    scope: str
    source: Shape
    result: Shape
    kernel: int
    depthwise: bool = False
    normalised: bool = True
    activated: bool = True
    adds: bool = False

    @property
    def weights(self) -> int:
        """Numbers in the filter."""
        return self.kernel**2 * self.result.channels * (1 if self.depthwise else self.source.channels)

    @property
    def parameters(self) -> int:
        """Trained numbers: the filter, and gamma and beta of the batch norm, or the bias."""
        return self.weights + self.result.channels * (2 if self.normalised else 1)

    @property
    def multiply_adds(self) -> int:
        each = self.kernel**2 * (1 if self.depthwise else self.source.channels)
        return self.result.elements * each


@dataclass(frozen=True, eq=False)
class Network:
    """``convolutions`` in the order of execution; ``maps`` are the six feature maps with their anchors a place.

    There is one of each kind (``build`` keeps them), so that comparing and hashing are quick.
    """

    image: Shape
    convolutions: tuple[Convolution, ...]
    maps: tuple[tuple[Shape, int], ...]
    slots: int
    """Scores of an anchor: one a class, and one for background."""

    @functools.cached_property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.convolutions)

    @functools.cached_property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.convolutions)

    @functools.cached_property
    def answered(self) -> int:
        """Numbers that all convolutions answer for one picture."""
        return sum(layer.result.elements for layer in self.convolutions)

    @functools.cached_property
    def anchors(self) -> int:
        return sum(shape.height * shape.width * places for shape, places in self.maps)


def build(model: Mapping[str, Any], classes: int) -> Network:
    """The network of a ``model`` section with every default filled in, for ``classes`` classes."""
    height, width, channels = model["input_shape"]
    anchors = model["anchors"]
    return _network(
        Shape(height, width, channels),
        float(model["depth_multiplier"]),
        int(model["min_depth"]),
        model["architecture"] == "ssdlite_mobilenet_v2",
        len(anchors["aspect_ratios"]) + 1,
        bool(anchors["reduce_lowest"]),
        classes,
    )


@functools.lru_cache(maxsize=256)
def _network(
    image: Shape, multiplier: float, least: int, separable: bool, places: int, reduced: bool, classes: int
) -> Network:
    """``places``: anchors a place of a feature map. ``reduced``: fewer in the finest one."""
    base, tapped = _base(image, multiplier, least)
    layers, shapes = list(base), [tapped, base[-1].result]
    for index, nominal in enumerate(_EXTRA, len(shapes)):
        layers += _extra(index, shapes[-1], nominal, multiplier, least, separable)
        shapes.append(layers[-1].result)
    maps = tuple(zip(shapes, _anchors_a_place(places, reduced, len(shapes)), strict=True))
    for index, (shape, each) in enumerate(maps):
        for head, numbers in (("BoxEncodingPredictor", _BOX_CODE), ("ClassPredictor", classes + 1)):
            layers += _predictor(f"BoxPredictor_{index}/{head}", shape, each * numbers, separable)
    return Network(image, tuple(layers), maps, classes + 1)


def divisible(channels: float, least: int) -> int:
    """Slim's ``_make_divisible``: the nearest multiple of 8, at least ``least``, that loses no more than a tenth."""
    rounded = max(least, int(channels + _STEP / 2) // _STEP * _STEP)
    return rounded + _STEP if rounded < 0.9 * channels else rounded


def _base(image: Shape, multiplier: float, least: int) -> tuple[list[Convolution], Shape]:
    """MobileNet V2 without its classifier, and the answer that the first feature map is taken from.

    The last convolution shrinks with the multiplier too: the API does not use slim's "finegrain" mode.
    """
    shape = image.strided(2, divisible(_FIRST * multiplier, least))
    layers = [Convolution(f"{_SCOPE}/Conv", image, shape, 3)]
    tapped, block = shape, 0
    for nominal, blocks, first_stride in _BASE:
        for repeat in range(blocks):
            scope = f"{_SCOPE}/expanded_conv" + (f"_{block}" if block else "")
            expanded = shape.strided(1, divisible(shape.channels * _EXPANSION, _STEP)) if block else shape
            if block:
                layers.append(Convolution(f"{scope}/expand", shape, expanded, 1))
            if block == _TAPPED:
                tapped = expanded
            stride = 1 if repeat else first_stride
            inside = expanded.strided(stride, expanded.channels)
            layers.append(Convolution(f"{scope}/depthwise", expanded, inside, 3, depthwise=True))
            result = inside.strided(1, divisible(nominal * multiplier, least))
            layers.append(Convolution(f"{scope}/project", inside, result, 1, activated=False, adds=result == shape))
            shape, block = result, block + 1
    layers.append(Convolution(f"{_SCOPE}/Conv_1", shape, shape.strided(1, divisible(_LAST * multiplier, least)), 1))
    return layers, tapped


def _extra(index: int, shape: Shape, nominal: int, multiplier: float, least: int, separable: bool) -> list[Convolution]:
    """The layers of a coarser feature map: 1x1 to half the channels, then 3x3 with stride 2.

    Their channels are cut off, not rounded to multiples of 8 (``feature_map_generators.get_depth_fn``).
    """
    half, whole = (max(int(channels * multiplier), least) for channels in (nominal / 2, nominal))
    squeezed = shape.strided(1, half)
    result = squeezed.strided(2, whole)
    squeeze = Convolution(f"{_SCOPE}/layer_19_1_Conv2d_{index}_1x1_{half}", shape, squeezed, 1)
    scope = f"{_SCOPE}/layer_19_2_Conv2d_{index}_3x3_s2_{whole}"
    if not separable:
        return [squeeze, Convolution(scope, squeezed, result, 3)]
    inside = squeezed.strided(2, half)
    return [
        squeeze,
        Convolution(f"{scope}_depthwise", squeezed, inside, 3, depthwise=True),
        Convolution(scope, inside, result, 1),
    ]


def _predictor(scope: str, shape: Shape, numbers: int, separable: bool) -> list[Convolution]:
    result = shape.strided(1, numbers)
    answer = Convolution(scope, shape, result, 1, normalised=False, activated=False)
    return [Convolution(f"{scope}_depthwise", shape, shape, 3, depthwise=True), answer] if separable else [answer]


def _anchors_a_place(usual: int, reduced: bool, maps: int) -> list[int]:
    """One for each aspect ratio and one between this scale and the next (``create_ssd_anchors``)."""
    return [_REDUCED if reduced else usual] + [usual] * (maps - 1)
