"""A map's canonical layout: the reference builder's, with the keys in sorted order."""

from __future__ import annotations

import contextlib
import random

import flexbuffer
import pytest
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = {
    "max_detections": 20,
    "max_classes_per_detection": 1,
    "detections_per_class": 20,
    "num_classes": 3,
    "use_regular_nms": False,
    "nms_score_threshold": 1e-8,
    "nms_iou_threshold": 0.6,
    "y_scale": 10.0,
    "x_scale": 10.0,
    "h_scale": 5.0,
    "w_scale": 5.0,
    "_output_quantized": True,
    "_support_output_type_float_in_quantized_op": True,
}


def built(entries: dict[str, int | float | bool], order: list[str]) -> bytes:
    """The map as the reference builder writes it when the keys come in ``order``."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for key in order:
            value = entries[key]
            if isinstance(value, bool):
                builder.Bool(key, value)
            elif isinstance(value, float):
                builder.Float(key, value, 4)
            else:
                builder.Int(key, value)
    return bytes(builder.Finish())


def test_key_order_leaves_no_trace() -> None:
    orders = []
    for seed in range(20):
        order = sorted(OPTIONS)
        random.Random(seed).shuffle(order)
        orders.append(built(OPTIONS, order))
    assert len(set(orders)) == 20
    assert {flexbuffer.canonical(data) for data in orders} == {built(OPTIONS, sorted(OPTIONS))}


def test_content_stays() -> None:
    data = built(OPTIONS, list(OPTIONS))
    assert flexbuffers.Loads(flexbuffer.canonical(data)) == flexbuffers.Loads(data)


def test_canonical_twice_is_canonical_once() -> None:
    once = flexbuffer.canonical(built(OPTIONS, list(OPTIONS)))
    assert flexbuffer.canonical(once) == once


KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
NUMBERS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(width=32, allow_nan=False, allow_infinity=False)
)


@given(st.dictionaries(KEYS, NUMBERS, min_size=1, max_size=20))
def test_any_map_of_numbers(entries: dict[str, int | float | bool]) -> None:
    data = built(entries, sorted(entries))
    assert flexbuffer.canonical(data) == data


def test_a_layout_of_other_length_is_refused() -> None:
    """Padding that the reference builder does not write: nothing may be moved to make it fit."""
    with pytest.raises(ValueError, match="takes"):
        flexbuffer.canonical(b"\0" + built({"a": 1}, ["a"]))


def test_more_than_numbers_is_refused() -> None:
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.String("name", "x")
    with pytest.raises(ValueError, match="something else than numbers"):
        flexbuffer.canonical(bytes(builder.Finish()))


def test_a_vector_is_refused() -> None:
    builder = flexbuffers.Builder()
    with builder.Vector():
        builder.Int(1)
    with pytest.raises(ValueError, match="not a FlexBuffer map"):
        flexbuffer.canonical(bytes(builder.Finish()))


@given(st.data())
def test_damaged_bytes_are_a_value_error_or_a_map(data: st.DataObject) -> None:
    whole = bytearray(built(OPTIONS, list(OPTIONS)))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)):
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 8))
    with contextlib.suppress(ValueError):
        flexbuffer.canonical(bytes(whole[cut:]))
