"""Positions in a .tflite, read without generated code, against the reference implementation."""

from __future__ import annotations

import contextlib

import flatbuffer
import pytest
import tiny_tflite
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st

MODEL = tiny_tflite.build()


def test_the_operator_with_its_tensors_and_options() -> None:
    (found,) = flatbuffer.custom_operators(MODEL)
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(MODEL)).subgraphs[0]
    expected = graph.operators[1]
    assert found.name == tiny_tflite.OP
    assert found.inputs == list(expected.inputs)
    assert found.outputs == list(expected.outputs)
    start, length = found.options
    assert MODEL[start : start + length] == bytes(expected.customOptions)
    assert flexbuffers.Loads(MODEL[start : start + length])["max_detections"] == 4


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="TFL3"):
        flatbuffer.custom_operators(b"\x89PNG\r\n\x1a\n" + b"\0" * 64)


@given(st.integers(0, len(MODEL) - 1))
def test_a_truncated_file_is_a_value_error_or_still_whole_where_read(length: int) -> None:
    with contextlib.suppress(ValueError):
        flatbuffer.custom_operators(MODEL[:length])


@given(st.lists(st.tuples(st.integers(8, len(MODEL) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_are_a_value_error_at_worst(changes: list[tuple[int, int]]) -> None:
    data = bytearray(MODEL)
    for place, value in changes:
        data[place] = value
    with contextlib.suppress(ValueError):
        flatbuffer.custom_operators(bytes(data))
