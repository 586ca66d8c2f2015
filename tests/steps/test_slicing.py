"""Slicing a wider network's arrays, and what a checkpoint covers of a network; names as the API gives them."""

from __future__ import annotations

import coverage
import numpy as np
from slicing import canonical, slice_all, spaces_of

BACKBONE = "FeatureExtractor/MobilenetV2/"


def block(number: int, inputs: int, inside: int, outputs: int) -> dict[str, tuple[int, ...]]:
    scope = f"{BACKBONE}expanded_conv_{number}/"
    return {
        f"{scope}expand/weights": (1, 1, inputs, inside),
        f"{scope}expand/BatchNorm/gamma": (inside,),
        f"{scope}depthwise/depthwise_weights": (3, 3, inside, 1),
        f"{scope}depthwise/BatchNorm/gamma": (inside,),
        f"{scope}project/weights": (1, 1, inside, outputs),
        f"{scope}project/BatchNorm/gamma": (outputs,),
        f"{scope}project/BatchNorm/moving_mean": (outputs,),
    }


def arrays(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: np.random.RandomState(len(name)).uniform(0.1, 1, shape).astype(np.float32)
            for name, shape in shapes.items()}  # fmt: skip


# Blocks 1 and 2 of one stretch: the second adds its input to its output.
WIDE = arrays({**block(1, 4, 6, 4), **block(2, 4, 6, 4)})
NARROW = {**block(1, 2, 3, 2), **block(2, 2, 3, 2)}


def test_channels_are_chosen_by_their_scale_and_the_same_wherever_they_flow() -> None:
    wide = dict(WIDE)
    # Both blocks of the stretch vote: 0.9 + 0.1, 0.2 + 0.2, 0.1 + 1.0 and 0.5 + 0.4.
    for number, gamma in ((1, [0.9, 0.2, 0.1, 0.5]), (2, [0.1, 0.2, 1.0, 0.4])):
        wide[f"{BACKBONE}expanded_conv_{number}/project/BatchNorm/gamma"] = np.array(gamma, np.float32)
    inside = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7]
    for part in ("expand", "depthwise"):
        wide[f"{BACKBONE}expanded_conv_2/{part}/BatchNorm/gamma"] = np.array(inside, np.float32)
    found = slice_all(wide, NARROW)
    assert set(found) == set(NARROW)
    kept, within, scope = [0, 2], [1, 3, 5], f"{BACKBONE}expanded_conv_2/"
    np.testing.assert_array_equal(found[scope + "project/BatchNorm/gamma"], np.array([0.1, 1.0], np.float32))
    np.testing.assert_array_equal(
        found[scope + "expand/weights"], wide[scope + "expand/weights"][:, :, kept][..., within]
    )
    np.testing.assert_array_equal(
        found[scope + "depthwise/depthwise_weights"], wide[scope + "depthwise/depthwise_weights"][:, :, within]
    )
    np.testing.assert_array_equal(
        found[scope + "project/weights"], wide[scope + "project/weights"][:, :, within][..., kept]
    )
    first = f"{BACKBONE}expanded_conv_1/project/BatchNorm/moving_mean"
    np.testing.assert_array_equal(found[first], wide[first][kept])


def test_the_same_width_is_taken_whole() -> None:
    shapes = {name: array.shape for name, array in WIDE.items()}
    found = slice_all(WIDE, shapes)
    assert all(np.array_equal(found[name], WIDE[name]) for name in shapes)


def test_a_narrower_checkpoint_gives_nothing_wider() -> None:
    narrow = arrays(NARROW)
    assert slice_all(narrow, {name: array.shape for name, array in WIDE.items()}) == {}


def test_layers_read_and_write_the_right_channels() -> None:
    extra = f"{BACKBONE}layer_19_2_Conv2d_3_3x3_s2_64"
    for name, rank, spaces in (
        ("BoxPredictor_0/ClassPredictor/weights", 4, {2: "block 13"}),
        ("BoxPredictor_1/BoxEncodingPredictor/weights", 4, {2: "last"}),
        ("BoxPredictor_3/ClassPredictor_depthwise/depthwise_weights", 4, {2: "extra 3"}),
        ("BoxPredictor_3/ClassPredictor_depthwise/BatchNorm/gamma", 1, {0: "extra 3"}),
        ("BoxPredictor_3/ClassPredictor/biases", 1, {}),
        (extra + "/weights", 4, {2: "squeezed 3", 3: "extra 3"}),
        (extra + "_depthwise/depthwise_weights", 4, {2: "squeezed 3"}),
        (f"{BACKBONE}layer_19_1_Conv2d_2_1x1_64/weights", 4, {2: "last", 3: "squeezed 2"}),
        (f"{BACKBONE}layer_19_1_Conv2d_4_1x1_32/BatchNorm/beta", 1, {0: "squeezed 4"}),
        (f"{BACKBONE}expanded_conv/project/weights", 4, {2: "first", 3: "stretch 0"}),
        (f"{BACKBONE}expanded_conv_16/project/weights", 4, {2: "block 16", 3: "stretch 6"}),
        (f"{BACKBONE}Conv_1/weights", 4, {2: "stretch 6", 3: "last"}),
        (f"{BACKBONE}Conv/weights", 4, {3: "first"}),
        ("something/else/weights", 4, {}),
    ):
        assert spaces_of(canonical(name), rank) == spaces, name


def test_coverage_is_one_table() -> None:
    shapes = {"FeatureExtractor/MobilenetV2/Conv/weights": (3, 3, 3, 8), "BoxPredictor_0/ClassPredictor/biases": (6,),
              f"{BACKBONE}layer_19_1_Conv2d_2_1x1_64/weights": (1, 1, 8, 64),
              "FeatureExtractor/MobilenetV2/Conv/BatchNorm/gamma": (8,)}  # fmt: skip
    available = {"FeatureExtractor/MobilenetV2/Conv/weights": (3, 3, 3, 8),
                 "BoxPredictor_0/ClassPredictor/biases": (9,),
                 f"{BACKBONE}layer_19_1_Conv2d_2_1x1/weights": (1, 1, 8, 256)}  # fmt: skip
    rows = coverage.compare(shapes, available, {f"{BACKBONE}layer_19_1_Conv2d_2_1x1/weights"})
    assert {row["name"]: row["state"] for row in rows} == {
        "BoxPredictor_0/ClassPredictor/biases": "re-initialised",
        "FeatureExtractor/MobilenetV2/Conv/BatchNorm/gamma": "missing",
        "FeatureExtractor/MobilenetV2/Conv/weights": "restored",
        f"{BACKBONE}layer_19_1_Conv2d_2_1x1_64/weights": "sliced",
    }
    # 216 restored and 512 sliced of 742.
    assert coverage.share(rows, set(shapes)) == (216 + 512) / 742
    lines = coverage.table(rows)
    assert [line.split() for line in lines[1:]] == [
        ["Conv", "1", "-", "-", "1"],
        ["BoxPredictor_0", "-", "-", "1", "-"],
        ["layer_19_1_Conv2d_2_1x1_64", "-", "1", "-", "-"],
        ["variables", "1", "1", "1", "1"],
        ["parameters", "216", "512", "6", "8"],
    ]
    names = ["a/b/Momentum", "global_step", "Conv/weights/ExponentialMovingAverage", "Logits/weights", *available]
    assert coverage.unused(shapes, names) == 1
