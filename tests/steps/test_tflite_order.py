"""One network has one form, whatever order it comes in, and computes the same in it."""

from __future__ import annotations

import contextlib
from random import Random
from typing import Any

import flatbuffer
import flatbuffer_tree
import networks
import numpy as np
import pytest
import tflite_order
import tflite_schema
import tiny_tflite
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

MODEL = networks.pack(networks.network())
ORDERED = tflite_order.ordered(MODEL)


def answers(model: bytes) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], np.random.RandomState(3).normal(size=entry["shape"]).astype(np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(found["index"]) for found in interpreter.get_output_details()]


def names(model: bytes) -> list[list[str]]:
    """What each operator answers with, in order of execution."""
    graph = networks.unpack(model).subgraphs[0]
    return [[graph.tensors[number].name.decode() for number in made.outputs] for made in graph.operators]


# One form


@given(st.integers(0, 2**32))
def test_any_order_of_a_network_gives_the_same_bytes(seed: int) -> None:
    other = networks.pack(networks.shuffled(networks.network(), Random(seed)))
    assert tflite_order.ordered(other) == ORDERED


def test_the_orders_tried_are_different_files_with_the_same_answers() -> None:
    others = {networks.pack(networks.shuffled(networks.network(), Random(seed))) for seed in range(20)}
    assert len(others) == 20
    expected = answers(MODEL)
    assert len(expected) == 2 and not np.array_equal(*expected)
    for model in (ORDERED, *sorted(others)[:3]):
        for one, other in zip(answers(model), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_is_in_order_stays_as_it_is() -> None:
    assert tflite_order.ordered(ORDERED) == ORDERED


def test_another_network_has_another_form() -> None:
    changed = networks.network()
    changed.buffers[2].data = changed.buffers[2].data + np.uint8(1)
    assert tflite_order.ordered(networks.pack(changed)) != ORDERED


def test_a_constant_is_unpacked_just_before_it_is_used() -> None:
    made = [name for (name,) in names(ORDERED)]
    assert made[:4] == [
        "layer_0/MulOptions/constant_dequantize", "layer_0/MulOptions",
        "layer_0/AddOptions/constant_dequantize", "layer_0/AddOptions",
    ]  # fmt: skip


def test_what_nothing_refers_to_comes_last_by_content() -> None:
    files = []
    for order in ((b"first", b"second"), (b"second", b"first")):
        model = networks.network()
        for content in order:
            buffer, tensor = schema.BufferT(), schema.TensorT()
            buffer.data = np.frombuffer(content, np.uint8)
            tensor.name, tensor.shape, tensor.buffer = content.decode(), [1], 0
            model.buffers.insert(1, buffer)
            model.subgraphs[0].tensors.append(tensor)
        for tensor in model.subgraphs[0].tensors:
            tensor.buffer += 2 * (tensor.buffer > 0)
        model.metadata[0].buffer += 2
        files.append(tflite_order.ordered(networks.pack(model)))
    assert files[0] == files[1]
    assert [tensor.name for tensor in networks.unpack(files[0]).subgraphs[0].tensors[-2:]] == [b"first", b"second"]


def test_all_that_a_detector_has_is_kept() -> None:
    model = networks.unpack(tiny_tflite.build())
    tensor = model.subgraphs[0].tensors[0]
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5, 0.25, 1.0], [-3, 0, 2**40]
    tensor.quantization.quantizedDimension = 3
    whole = tflite_order.ordered(networks.pack(model))
    graph = networks.unpack(whole).subgraphs[0]
    found = graph.tensors[graph.inputs[0]].quantization
    assert (list(found.scale), list(found.zeroPoint), found.quantizedDimension) == ([0.5, 0.25, 1.0], [-3, 0, 2**40], 3)
    (before,), (after,) = flatbuffer.custom_operators(networks.pack(model)), flatbuffer.custom_operators(whole)
    assert after.name == tiny_tflite.OP
    assert bytes(graph.operators[-1].customOptions) == bytes(model.subgraphs[0].operators[-1].customOptions)
    assert [graph.tensors[number].name for number in after.inputs] == [
        model.subgraphs[0].tensors[number].name for number in before.inputs
    ]
    for one, other in zip(answers(whole), answers(tiny_tflite.build()), strict=True):
        np.testing.assert_array_equal(one, other)


def test_constants_are_aligned() -> None:
    root = flatbuffer.root(ORDERED)
    places = [flatbuffer.vector(ORDERED, buffer, 0, 1) for buffer in flatbuffer.tables(ORDERED, root, 4)]
    assert sum(place is not None for place in places) == 7
    assert all(place[0] % 16 == 0 for place in places if place)


# What it reads, against the reference


@pytest.mark.parametrize("number", sorted(tflite_schema.OPTIONS))
def test_options_are_read_as_the_reference_writes_them(number: int) -> None:
    (name,) = [name for name, value in vars(schema.BuiltinOptions).items() if value == number]
    fields = vars(getattr(schema, name + "T")())
    kept = 0
    for field in fields:
        model = networks.network(2)
        made = model.subgraphs[0].operators[1]
        made.builtinOptionsType, made.builtinOptions = number, getattr(schema, name + "T")()
        setattr(made.builtinOptions, field, _other(getattr(made.builtinOptions, field)))
        try:
            graph = networks.unpack(tflite_order.ordered(networks.pack(model))).subgraphs[0]
        except ValueError:
            continue  # a field that is newer than TensorFlow 1
        options = graph.operators[1].builtinOptions
        assert {key: np.array(value).tolist() for key, value in vars(options).items()} == {
            key: np.array(value).tolist() for key, value in vars(made.builtinOptions).items()
        }
        kept += 1
    deprecated = 2 if name == "ResizeBilinearOptions" else 0
    assert kept == len(tflite_schema.OPTIONS[number]) - deprecated


def _other(value: Any) -> Any:
    if value is None:
        return [3, 1, 2]
    return {bool: not value, int: 1 + int(value), float: 0.25}[type(value)]


# What it refuses


def _stateful(model: Any) -> None:
    model.subgraphs[0].tensors[3].isVariable = True


def _unasked(model: Any) -> None:
    model.subgraphs[0].outputs = model.subgraphs[0].outputs[1:]


def _twice(model: Any) -> None:
    model.subgraphs[0].operators[3].outputs = model.subgraphs[0].operators[1].outputs


def _elsewhere(model: Any) -> None:
    model.subgraphs[0].tensors[3].buffer = 99


def _missing(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs = [-2]


def _newer(model: Any) -> None:
    model.subgraphs[0].tensors[3].hasRank = True


@pytest.mark.parametrize(
    ("change", "reason"),
    [(_stateful, "state"), (_unasked, "nobody asks"), (_twice, "two operators"), (_elsewhere, "does not have"),
     (_missing, "does not have"), (_newer, "has a field")],
)  # fmt: skip
def test_what_has_no_one_order_is_refused(change: Any, reason: str) -> None:
    model = networks.network()
    change(model)
    with pytest.raises(ValueError, match=reason):
        tflite_order.ordered(networks.pack(model))


@given(st.lists(st.tuples(st.integers(8, len(MODEL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_are_a_value_error_at_worst(changes: list[tuple[int, int]]) -> None:
    data = bytearray(MODEL)
    for place, value in changes:
        data[place] = value
    with contextlib.suppress(ValueError):
        tflite_order.ordered(bytes(data))


def test_a_tree_of_nothing_is_a_file_of_nothing() -> None:
    whole = flatbuffer_tree.write([3], ("i",), b"TFL3")
    assert flatbuffer_tree.read(whole, flatbuffer.root(whole), ("i",)) == [3]
    assert schema.Model.GetRootAs(whole).Version() == 3
