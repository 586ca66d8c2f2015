"""The part of a .tflite in which two files differ, on models that LiteRT's own schema code writes."""

from __future__ import annotations

import io
import random
import struct
import zipfile

import flatbuffers
import numpy
import pytest
from ai_edge_litert import schema_py_generated as schema

from builder.rebuild.tflite import MOST_TABLES, Difference, compare, parts_of
from tests.steps.tiny_tflite import OP, build

MODEL = build()


def edited(change: object) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(MODEL, 0)
    change(model)  # type: ignore[operator]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def metadata(text: bytes) -> bytes:
    def add(model: schema.ModelT) -> None:
        buffer = schema.BufferT()
        buffer.data = numpy.frombuffer(text, numpy.uint8)
        model.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers) - 1
        model.metadata = [entry]

    return edited(add)


def flipped(data: bytes, *places: int) -> bytes:
    changed = bytearray(data)
    for place in places:
        changed[place] ^= 1
    return bytes(changed)


def test_the_same_bytes() -> None:
    assert compare(MODEL, MODEL) is None


def test_every_part_is_where_the_schemas_own_code_finds_it() -> None:
    parts = parts_of(MODEL)
    model = schema.ModelT.InitFromPackedBuf(MODEL, 0)
    for tensor in model.subgraphs[0].tensors:
        name = tensor.name.decode()
        part = parts[f"tensor {name}, buffer {tensor.buffer}"]
        data = model.buffers[tensor.buffer].data
        assert MODEL[part.start : part.start + part.size] == (b"" if data is None else bytes(data.tobytes()))
        shape = parts[f"shape of tensor {name}"]
        assert struct.unpack(f"<{shape.size // 4}i", MODEL[shape.start : shape.start + shape.size]) == tuple(
            tensor.shape
        )
    options = parts[f"custom options of {OP}"]
    assert (
        MODEL[options.start : options.start + options.size] == model.subgraphs[0].operators[1].customOptions.tobytes()
    )


def test_a_tensor_by_name_buffer_and_bytes() -> None:
    part = parts_of(MODEL)["tensor anchors, buffer 3"]
    found = compare(MODEL, flipped(MODEL, part.start + 4, part.start + 9))
    assert found == Difference("tensor anchors, buffer 3", part.start + 4, part.start + 9)
    assert str(found) == f"tensor anchors, buffer 3, bytes {part.start + 4:,} to {part.start + 9:,} of the first file"


def test_custom_options_come_after_tensors() -> None:
    parts = parts_of(MODEL)
    options, anchors = parts[f"custom options of {OP}"], parts["tensor anchors, buffer 3"]
    found = compare(MODEL, flipped(MODEL, options.start + 1))
    assert found == Difference(f"custom options of {OP}", options.start + 1, options.start + 1)
    found = compare(MODEL, flipped(MODEL, options.start + 1, anchors.start))
    assert found == Difference("tensor anchors, buffer 3", anchors.start, anchors.start, others=1)


def test_metadata_of_another_length_moves_the_rest_and_is_still_named() -> None:
    one, other = metadata(b"about"), metadata(b"about this model, at length")
    found = compare(one, other)
    assert found is not None
    assert found.what == "metadata TFLITE_METADATA has 5 bytes in the first and 27 in the second"
    assert found.others == 0
    found = compare(MODEL, one)
    assert found == Difference("metadata TFLITE_METADATA is only in the second", None, None)
    found = compare(one, MODEL)
    assert found is not None
    assert found.what == "metadata TFLITE_METADATA is only in the first"


def test_a_tensor_of_another_name_or_shape() -> None:
    def rename(model: schema.ModelT) -> None:
        model.subgraphs[0].tensors[4].name = "cells"

    found = compare(MODEL, edited(rename))
    assert found is not None
    assert "tensor anchors is only in the first" in found.what
    found = compare(build(8), build(10))
    assert found is not None
    assert found.what.startswith("shape of tensor normalized_input_image_tensor")


def test_what_has_no_name_is_structure() -> None:
    def redescribe(model: schema.ModelT) -> None:
        model.description = "Tiny"

    found = compare(MODEL, edited(redescribe))
    assert found is not None
    assert found.what.startswith("structure")


def test_files_that_are_appended_are_told() -> None:
    def with_labels(text: str) -> bytes:
        buffer = io.BytesIO(MODEL)
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr(zipfile.ZipInfo("labels.txt"), text)
        return buffer.getvalue()

    found = compare(with_labels("a"), with_labels("b"))
    assert found is not None
    assert found.what == "associated files, a zip at the end"
    assert found.first is not None
    assert found.first >= len(MODEL)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 8, MODEL[:4] + b"TFL2" + MODEL[8:], MODEL[:100]])
def test_what_is_no_tflite_is_compared_byte_by_byte(data: bytes) -> None:
    for one, other in ((MODEL, data), (data, MODEL)):
        found = compare(one, other)
        assert found is not None
        assert found.what.startswith("no .tflite that can be read")


def test_any_damage_is_an_answer_not_a_crash() -> None:
    chance = random.Random(1)
    for _ in range(400):
        data = bytearray(MODEL)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(8 if chance.random() < 0.9 else 0, len(data))] = chance.choice([0, 1, 127, 255])
        found = compare(MODEL, bytes(data[: chance.randint(1, len(data))] if chance.random() < 0.3 else data))
        assert found is None or str(found).isprintable()


def repeated(subgraphs: int, tensors: int, size: int) -> bytes:
    """A small file that says it has many subgraphs of many tensors, which are all one, of ``size`` bytes."""
    builder = flatbuffers.Builder()
    name, content = builder.CreateString("t"), builder.CreateByteVector(bytes(size))

    def table(**fields: int) -> int:
        builder.StartObject(8)
        for number, offset in fields.items():
            builder.PrependUOffsetTRelativeSlot(int(number[1:]), offset, 0)
        return int(builder.EndObject())

    def vector(item: int, times: int) -> int:
        builder.StartVector(4, times, 4)
        for _ in range(times):
            builder.PrependUOffsetTRelative(item)
        return int(builder.EndVector())

    buffers = vector(table(_0=content), 1)
    graphs = vector(table(_0=vector(table(_3=name), tensors)), subgraphs)
    builder.Finish(table(_2=graphs, _4=buffers), b"TFL3")
    return bytes(builder.Output())


def test_a_file_in_which_all_lies_upon_all_is_refused() -> None:
    assert "tensor t (6), buffer 0" in parts_of(repeated(2, 3, 10))
    assert MOST_TABLES < 1_000 * 1_000
    with pytest.raises(ValueError, match="tables"):
        parts_of(repeated(1_000, 1_000, 0))
    with pytest.raises(ValueError, match="upon each other"):
        parts_of(repeated(10, 100, 1 << 20))
