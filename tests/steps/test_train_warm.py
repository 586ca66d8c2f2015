"""Warm start: what a checkpoint covers, and narrower networks out of wider ones that still compute the same."""

import contract
import coverage
import numpy as np
import pytest
import slicing
import warmstart

BACKBONE = "FeatureExtractor/MobilenetV2/"


class Network:
    """The first blocks of an SSD MobileNet V2 on a picture of one pixel, where only a kernel's centre counts.

    ``live``: for each layer the places of the channels that carry anything; gamma and beta of the others are 0.
    """

    def __init__(self, random, live, first=4, stem=4, inner=8, outer=6):
        self.arrays = {}
        self._random, self._live = random, live
        self._layer("Conv", (3, 3, 3, first))
        self._layer("expanded_conv/depthwise", (3, 3, first, 1))
        self._layer("expanded_conv/project", (1, 1, first, stem))
        for number, width in ((1, stem), (2, outer)):
            block = f"expanded_conv_{number}/"
            self._layer(block + "expand", (1, 1, width, inner))
            self._layer(block + "depthwise", (3, 3, inner, 1))
            self._layer(block + "project", (1, 1, inner, outer))

    def _layer(self, name, shape):
        depthwise = name.endswith("depthwise")
        channels = shape[2] if depthwise else shape[3]
        scope = BACKBONE + name
        kind = "/depthwise_weights" if depthwise else "/weights"
        self.arrays[scope + kind] = self._random.normal(size=shape)
        on = np.zeros(channels)
        on[self._live[name]] = 1
        for vector, values in (
            ("gamma", self._random.uniform(0.5, 2, channels) * on),
            ("beta", self._random.normal(size=channels) * on),
            ("moving_mean", self._random.normal(size=channels)),
            ("moving_variance", self._random.uniform(0.5, 2, channels)),
        ):
            self.arrays[f"{scope}/BatchNorm/{vector}"] = values


def forward(arrays, pixel, residual_of_stem=False):
    """The output of expanded_conv_2 in inference, channels that are 0 left out."""

    def layer(name, x, relu=True):
        scope = BACKBONE + name
        if name.endswith("depthwise"):
            x = x * arrays[scope + "/depthwise_weights"][1, 1, :, 0]
        else:
            kernel = arrays[scope + "/weights"]
            x = x @ kernel[kernel.shape[0] // 2, kernel.shape[1] // 2]
        gamma, beta, mean, variance = (
            arrays[f"{scope}/BatchNorm/{kind}"] for kind in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        x = gamma * (x - mean) / np.sqrt(variance + 0.001) + beta
        return np.clip(x, 0, 6) if relu else x

    first = layer("Conv", pixel)
    x = layer("expanded_conv/project", layer("expanded_conv/depthwise", first), relu=False)
    x = x + first if residual_of_stem else x
    for number in (1, 2):
        block = f"expanded_conv_{number}/"
        y = layer(block + "project", layer(block + "depthwise", layer(block + "expand", x)), relu=False)
        x = y + x if number == 2 else y
    return x[np.abs(x) > 0]


def shapes_of(network):
    return {slicing.canonical(name): array.shape for name, array in network.arrays.items()}


def test_a_slice_without_the_dead_channels_computes_the_same() -> None:
    random = np.random.default_rng(0)
    # The two blocks of a residual group have different live channels; what matters is their union, 0 2 5.
    live = {
        "Conv": [1, 3],
        "expanded_conv/depthwise": [1, 3],
        "expanded_conv/project": [0, 2],
        "expanded_conv_1/expand": [1, 4, 6, 7],
        "expanded_conv_1/depthwise": [1, 4, 6, 7],
        "expanded_conv_1/project": [0, 5],
        "expanded_conv_2/expand": [0, 3, 4, 5],
        "expanded_conv_2/depthwise": [0, 3, 4, 5],
        "expanded_conv_2/project": [2, 5],
    }
    # 5 and 4 channels: Conv and the first block's output are not added, as in a network of full width.
    wide = Network(random, live, first=5)
    narrow = Network(random, {name: [] for name in live}, first=2, stem=2, inner=4, outer=3)
    sliced = slicing.slice_all(wide.arrays, shapes_of(narrow))
    assert {name: array.shape for name, array in sliced.items()} == shapes_of(narrow)
    for pixel in random.normal(size=(5, 3)):
        assert np.allclose(forward(sliced, pixel), forward(wide.arrays, pixel))
        assert len(forward(sliced, pixel)) == 3


def test_blocks_that_add_only_by_their_least_width_are_sliced_together() -> None:
    random = np.random.default_rng(1)
    all_inner = [0, 1, 2, 3, 4, 5, 6, 7]
    # Either alone would take place 0 or 1 as its third; together they need 0, 2 and 3.
    live = {
        "Conv": [2, 3],
        "expanded_conv/depthwise": [2, 3],
        "expanded_conv/project": [0, 3],
        **{f"expanded_conv_{n}/{part}": all_inner for n in (1, 2) for part in ("expand", "depthwise")},
        **{f"expanded_conv_{n}/project": range(6) for n in (1, 2)},
    }
    wide = Network(random, live)
    narrow = Network(random, {name: [] for name in live}, first=3, stem=3)
    sliced = slicing.slice_all(wide.arrays, shapes_of(narrow))
    for pixel in random.normal(size=(5, 3)):
        found, wanted = (forward(arrays, pixel, residual_of_stem=True) for arrays in (sliced, wide.arrays))
        assert np.allclose(found, wanted)


def test_the_largest_scales_are_taken_and_ties_by_place() -> None:
    wide = {
        BACKBONE + "Conv/weights": np.arange(3 * 3 * 3 * 4.0).reshape(3, 3, 3, 4),
        BACKBONE + "Conv/BatchNorm/gamma": np.array([0.5, -2.0, 0.5, 1.0]),
    }
    shapes = {BACKBONE + "Conv/weights": (3, 3, 3, 3), BACKBONE + "Conv/BatchNorm/gamma": (3,)}
    sliced = slicing.slice_all(wide, shapes)
    assert sliced[BACKBONE + "Conv/BatchNorm/gamma"].tolist() == [0.5, -2.0, 1.0]
    assert np.array_equal(sliced[BACKBONE + "Conv/weights"], wide[BACKBONE + "Conv/weights"][..., [0, 1, 3]])


def test_extra_layers_and_predictors_take_the_channels_that_their_input_kept() -> None:
    squeeze = BACKBONE + "layer_19_1_Conv2d_2_1x1_4/"
    wide = {
        BACKBONE + "Conv_1/BatchNorm/gamma": np.array([1.0, 9.0, 1.0, 9.0]),
        slicing.canonical(squeeze + "weights"): np.arange(8.0).reshape(1, 1, 4, 2),
        "BoxPredictor_1/BoxEncodingPredictor/weights": np.arange(24.0).reshape(1, 1, 4, 6),
        "BoxPredictor_1/ClassPredictor/weights": np.zeros((1, 1, 4, 12)),
        "BoxPredictor_1/ClassPredictor_depthwise/depthwise_weights": np.arange(4.0).reshape(1, 1, 4, 1),
    }
    shapes = {
        slicing.canonical(BACKBONE + "layer_19_1_Conv2d_2_1x1_2/weights"): (1, 1, 2, 2),
        "BoxPredictor_1/BoxEncodingPredictor/weights": (1, 1, 2, 6),
        "BoxPredictor_1/ClassPredictor/weights": (1, 1, 2, 8),  # another number of classes
        "BoxPredictor_1/ClassPredictor_depthwise/depthwise_weights": (1, 1, 2, 1),
    }
    sliced = slicing.slice_all(wide, shapes)
    assert sliced[BACKBONE + "layer_19_1_Conv2d_2_1x1/weights"].tolist() == [[[[2, 3], [6, 7]]]]
    assert sliced["BoxPredictor_1/BoxEncodingPredictor/weights"][0, 0, :, 0].tolist() == [6, 18]
    assert sliced["BoxPredictor_1/ClassPredictor_depthwise/depthwise_weights"].ravel().tolist() == [1, 3]
    assert "BoxPredictor_1/ClassPredictor/weights" not in sliced


def test_a_checkpoint_of_odd_shapes_and_names_is_left_out() -> None:
    weights = BACKBONE + "Conv/weights"
    wide = {
        weights: np.float32(3),
        BACKBONE + "expanded_conv/project/weights": np.zeros(4, np.float32),
        BACKBONE + "expanded_conv_99/project/BatchNorm/gamma": np.ones(4),
        BACKBONE + "expanded_conv_1/expand/weights": np.zeros((1, 1, 4, 8)),
    }
    shapes = {weights: (3, 3, 3, 2), BACKBONE + "expanded_conv_1/expand/weights": (1, 1, 2, 16)}
    assert slicing.slice_all(wide, shapes) == {}


SHAPES = {
    BACKBONE + "Conv/weights": (3, 3, 3, 16),
    BACKBONE + "Conv/BatchNorm/gamma": (16,),
    BACKBONE + "Conv/BatchNorm/moving_mean": (16,),
    BACKBONE + "layer_19_1_Conv2d_2_1x1_64/weights": (1, 1, 320, 64),
    "BoxPredictor_0/ClassPredictor/biases": (12,),
}
AVAILABLE = {
    BACKBONE + "Conv/weights": (3, 3, 3, 16),
    BACKBONE + "Conv/BatchNorm/gamma": (16,),
    BACKBONE + "layer_19_1_Conv2d_2_1x1/weights": (1, 1, 1280, 256),
    "BoxPredictor_0/ClassPredictor/biases": (273,),
}


def test_coverage_counts_by_variables_and_by_parameters() -> None:
    rows = coverage.compare(SHAPES, AVAILABLE, {BACKBONE + "layer_19_1_Conv2d_2_1x1/weights"})
    assert [row["state"] for row in rows] == ["restored", "restored", "missing", "sliced", "re-initialised"]
    assert rows[-1]["found"] == [273] and rows[-1]["shape"] == [12] and rows[2]["found"] is None
    assert coverage.parameters(rows) == {"restored": 448, "sliced": 20480, "re-initialised": 12, "missing": 16}
    trainable = set(SHAPES) - {BACKBONE + "Conv/BatchNorm/moving_mean"}
    assert coverage.share(rows, trainable) == pytest.approx(20928 / 20940)
    assert coverage.share(coverage.compare(SHAPES, {}, set()), trainable) == 0


def test_the_table_joins_layers_that_fare_alike() -> None:
    shapes = {f"{BACKBONE}expanded_conv_{n}/{part}/weights": (2,) for n in (1, 2, 3) for part in "ab"}
    available = dict(list(shapes.items())[:4])
    lines = coverage.table(coverage.compare(shapes, available, set()))
    assert [line.split() for line in lines[1:]] == [
        ["expanded_conv_1", "..", "expanded_conv_2", "4", "-", "-", "-"],
        ["expanded_conv_3", "-", "-", "-", "2"],
        ["variables", "4", "-", "-", "2"],
        ["parameters", "8", "-", "-", "4"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_slots_of_optimisers_are_not_counted_as_unused() -> None:
    names = [
        BACKBONE + "layer_19_1_Conv2d_2_1x1_256/weights",
        BACKBONE + "Conv/weights/RMSProp_1",
        BACKBONE + "Conv/weights/ExponentialMovingAverage",
        "global_step",
        "MobilenetV2/Logits/weights",
        BACKBONE + "Conv/act_quant/min",
    ]
    assert coverage.unused(SHAPES, names) == 2


def request_for(folder):
    return contract.Request("train", {}, {"init": str(folder)}, str(folder / "out"), 1, "n")


def refused(folder, file=None):
    init = {"type": "checkpoint", "file": file, "slice": False, "min_coverage": 0.0}
    with pytest.raises(contract.Failure) as failed:
        warmstart.weights(request_for(folder), init, SHAPES, set(SHAPES))
    assert failed.value.code == "init-checkpoint" and failed.value.help
    return failed.value


def test_a_source_must_have_one_checkpoint_or_name_it(tmp_path) -> None:
    assert "0 checkpoints" in refused(tmp_path).message
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.ckpt.index").write_bytes(b"")
    assert "a/model.ckpt, b/model.ckpt" in refused(tmp_path).message
    assert "c/model.ckpt" in refused(tmp_path, "c/model.ckpt").message


def test_links_are_no_checkpoints(tmp_path) -> None:
    (tmp_path / "elsewhere.index").write_bytes(b"")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.ckpt.index").symlink_to(tmp_path / "elsewhere.index")
    assert "0 checkpoints" in refused(tmp_path / "source").message


@pytest.mark.parametrize("file", [None, "zoo/model.ckpt", "./zoo/model.ckpt.index", "zoo/model"])
def test_a_reader_that_dies_costs_only_the_child(tmp_path, file) -> None:
    """There is no TensorFlow where these tests run: the child stops as one does that a hostile file has killed."""
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "model.ckpt.index").write_bytes(b"not an index")
    assert "it died on it" in refused(tmp_path, file).message
