"""The predicted network, by hand-computed layers and published figures, and the size of its file.

tests/integration/test_prediction.py holds the same predictions against real graphs and conversions.
"""

from __future__ import annotations

from typing import Any

import pytest

from builder.manifest.network import Anchors, Model
from builder.manifest.quantization import TYPES
from builder.predict import network, predict, training_seconds
from builder.predict.layout import File, Operator, Tensor

FLOAT = {"type": "float32"}
STOCK, KERNELS = ({"name": name, "image": None} for name in ("tf1.12", "tf1.15"))


def model(depth: float = 1.0, size: tuple[int, int] = (300, 300), **fields: Any) -> dict[str, Any]:
    fields.setdefault("architecture", "ssd_mobilenet_v2")
    return Model(depth_multiplier=depth, input_shape=(*size, 3), **fields).model_dump(mode="json")


@pytest.mark.parametrize(
    ("channels", "least", "found"),
    [
        (32.0, 16, 32),
        (8.0, 16, 16),  # min_depth
        (33.6, 16, 32),  # to the nearest multiple of 8
        (11.2, 8, 16),  # 8 would lose more than a tenth of 11.2
        (1.6, 1, 9),  # 0 becomes min_depth, 1, and that loses more than a tenth
        (50.0, 60, 60),  # min_depth need not be a multiple of 8
    ],
)
def test_channels_are_rounded_as_slim_rounds_them(channels: float, least: int, found: int) -> None:
    assert network.divisible(channels, least) == found


def test_the_first_layers_by_hand() -> None:
    first, depthwise, project, expand = network.build(model(), 1).convolutions[:4]
    assert (first.parameters, first.multiply_adds) == (3 * 3 * 3 * 32 + 2 * 32, 150 * 150 * 32 * 27)
    assert (depthwise.parameters, depthwise.multiply_adds) == (9 * 32 + 2 * 32, 150 * 150 * 32 * 9)
    assert (project.parameters, project.multiply_adds) == (32 * 16 + 2 * 16, 150 * 150 * 16 * 32)
    assert (expand.parameters, expand.multiply_adds) == (16 * 96 + 2 * 96, 150 * 150 * 96 * 16)


def test_feature_maps_of_an_odd_picture_that_is_not_square() -> None:
    found = network.build(model(0.5, (97, 131)), 1)
    shapes = [(shape.height, shape.width, shape.channels) for shape, _ in found.maps]
    # 97 -> 49 -> 25 -> 13 -> 7 and 131 -> 66 -> 33 -> 17 -> 9; the first map is six times 48 channels wide.
    assert shapes == [(7, 9, 288), (4, 5, 640), (2, 3, 256), (1, 2, 128), (1, 1, 128), (1, 1, 64)]


def test_extra_layers_are_cut_off_not_rounded_and_keep_min_depth() -> None:
    widths = [shape.channels for shape, _ in network.build(model(0.35), 1).maps[2:]]
    assert widths == [179, 89, 89, 44]
    assert [shape.channels for shape, _ in network.build(model(0.1, min_depth=20), 1).maps[2:]] == [51, 25, 25, 20]


def test_anchors() -> None:
    cells = 10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1
    assert predict(model(), 1, FLOAT).anchors == 19 * 19 * 3 + cells * 6
    few = Anchors(aspect_ratios=(1.0, 2.0), reduce_lowest=False)
    assert predict(model(anchors=few), 1, FLOAT).anchors == (19 * 19 + cells) * 3


def test_a_class_more_costs_its_predictors_alone() -> None:
    one, two = (predict(model(0.25), classes, FLOAT) for classes in (1, 2))
    channels, places = (144, 320, 128, 64, 64, 32), (3, 6, 6, 6, 6, 6)
    each = sum((wide + 1) * many for wide, many in zip(channels, places, strict=True))
    assert two.parameters - one.parameters == each


def test_ssdlite_is_what_its_paper_says() -> None:
    # Sandler et al., MobileNetV2, table 6: 4.3 M parameters and 0.8 B multiply-adds on COCO at 320x320.
    found = predict(model(size=(320, 320), architecture="ssdlite_mobilenet_v2"), 80, FLOAT)
    assert round(found.parameters / 1e6, 1) == 4.3
    assert round(found.multiply_adds / 1e9, 1) == 0.8


@pytest.mark.parametrize(
    ("kind", "measured"),
    [
        ("float32", 1431416),
        ("float16", 755752),
        ("dynamic", 468368),
        ("int8", 572776),
        ("uint8-qat", 419168),
    ],
)
def test_sizes_of_files_that_were_built(kind: str, measured: int) -> None:
    found = predict(model(0.25), 1, {"type": kind, "interface": "float32"}).tflite_bytes
    assert found == pytest.approx(measured, rel=0.003)


def test_every_type_of_the_manifest_has_a_prediction_and_order_is_as_expected() -> None:
    sizes = {kind: predict(model(), 3, {"type": kind, "interface": "uint8"}).tflite_bytes for kind in TYPES}
    assert sizes["uint8-qat"] < sizes["dynamic"] < sizes["int8"] < sizes["float16"] < sizes["float32"]


def test_the_parts_of_a_file_by_hand() -> None:
    # Its place in the list, a table of four fields, "abcd" with its end, two numbers, an empty table of quantization;
    # a place in the list of buffers and 36 bytes (table, length, 24 of data) up to a multiple of 16.
    constant = Tensor("filter", "abcd", (2, 3), width=4)
    assert constant.bytes == 4 + 20 + (4 + 8) + (4 + 8) + 4 + (4 + 48)
    # One more field (the type), and lists of one scale and one zero point of eight bytes.
    assert Tensor("filter", "abcd", (2, 3), width=1, float32=False, scales=1).bytes == 4 + 24 + 12 + 12 + (
        12 + 8 + 12
    ) + (4 + 32)
    # A place, a table of opcode, inputs and outputs, the two lists.
    assert Operator(2).bytes == 4 + 16 + (4 + 8) + (4 + 4)
    assert File((constant,), (Operator(2),)).bytes - File((constant,), (Operator(2),), rewritten=True).bytes == 8


def test_the_time_of_a_training_counts_each_phase_at_its_size() -> None:
    def seconds(size: tuple[int, int], steps: int, small: dict[str, Any] | None = None) -> float:
        train = {"steps": steps, "batch_size": 24, "progressive": small}
        return training_seconds(model(0.25, size), 1, train, STOCK)

    both = seconds((300, 300), 500, {"input_shape": [160, 160, 3], "steps": 200})
    assert both == pytest.approx(seconds((300, 300), 300) + seconds((160, 160), 200))


def test_only_the_toolchain_of_the_kernels_is_quicker_for_them() -> None:
    train = {"steps": 100, "batch_size": 1, "progressive": None}
    with_kernels = training_seconds(model(0.25), 1, train, KERNELS)
    assert with_kernels < training_seconds(model(0.25), 1, train, STOCK) / 2
    own = {**KERNELS, "image": "host/image@sha256:" + "a" * 64}
    assert training_seconds(model(0.25), 1, train, own) == training_seconds(model(0.25), 1, train, STOCK)


@pytest.mark.parametrize(("side", "measured"), [(300, 20), (160, 64), (96, 170)])
def test_pictures_a_second_are_near_what_was_measured_on_two_cores(side: int, measured: float) -> None:
    train = {"steps": 100, "batch_size": 1, "progressive": None}
    assert 100 / training_seconds(model(0.25, (side, side)), 1, train, STOCK) == pytest.approx(measured, rel=0.25)
