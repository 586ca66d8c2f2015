"""Metadata put into a .tflite: TensorFlow's own schema reads it back, and nothing that was there has changed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import contract
import embed
import flatbuffer
import flatbuffers
import litert
import numpy as np
import pytest
import tflite_edit
import tflite_metadata
import tiny_tflite as tiny
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

MODEL = tiny.build()
OUTPUTS = {
    "tensors": [{"index": index, "meaning": meaning} for index, meaning in enumerate(litert.ROLES)],
    "index_base": 0,
    "max_detections": 4,
}
PARAMS = {
    "name": "cells",
    "version": "1.0.0",
    "classes": ["green", "blå"],
    "manifest_without_verify": "sha256:" + "1" * 64,
    "release": {"license": "MIT", "description": "Lit cells.\nTwo colours.", "authors": ["A. Smith", "B. Wright"]},
}


def embedded(spec: dict[str, Any] = tiny.INPUT, outputs: dict[str, Any] = OUTPUTS, **changes: Any) -> bytes:
    return embed.embedded(MODEL, {**PARAMS, **changes}, spec, outputs)


def unpacked(model: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_entries(*entries: tuple[str, bytes]) -> bytes:
    """The tiny model with metadata entries as the reference implementation writes them."""
    model = unpacked(MODEL)
    model.metadata = []
    for name, content in entries:
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)
    return packed(model)


def entry_of(model: bytes, name: str = tflite_metadata.NAME) -> bytes:
    (found,) = [model[start : start + length] for key, start, length in flatbuffer.metadata(model) if key == name]
    return found


def test_the_old_content_stands_unchanged_behind_a_front_that_keeps_its_alignment() -> None:
    whole = tflite_edit.add_metadata(MODEL, "NOTE", b"0123456789")
    assert whole.endswith(MODEL)
    assert (len(whole) - len(MODEL)) % 16 == 0
    ((name, start, length),) = flatbuffer.metadata(whole)
    assert (name, whole[start : start + length], start % 16) == ("NOTE", b"0123456789", 0)
    (found,), (before,) = flatbuffer.custom_operators(whole), flatbuffer.custom_operators(MODEL)
    assert (found.name, found.inputs, found.outputs) == (before.name, before.inputs, before.outputs)


def test_the_reference_implementation_reads_the_same_model_with_one_more_buffer() -> None:
    old, new = unpacked(with_entries(("min_runtime_version", b"1.5.0"))), None
    new = unpacked(tflite_edit.add_metadata(packed(old), "NOTE", b"abc"))
    assert [entry.name for entry in new.metadata] == [b"min_runtime_version", b"NOTE"]
    assert [bytes(new.buffers[entry.buffer].data) for entry in new.metadata] == [b"1.5.0", b"abc"]
    new.metadata.pop()
    new.buffers.pop()
    assert (new.version, new.description) == (3, b"tiny")
    assert packed(new) == packed(old)


def test_the_runtime_answers_the_same() -> None:
    before, after = litert.Detector(MODEL, tiny.INPUT), litert.Detector(embedded(), tiny.INPUT)
    for picture in (tiny.picture(2, 3, 2), tiny.picture(7, 0, 1)):
        for one, other in zip(before.detect(picture), after.detect(picture), strict=True):
            assert np.array_equal(one, other)


def test_a_second_entry_of_the_same_name_is_refused() -> None:
    with pytest.raises(ValueError, match="already"):
        tflite_edit.add_metadata(embedded(), tflite_metadata.NAME, b"")
    assert len(flatbuffer.metadata(tflite_edit.add_metadata(embedded(), "NOTE", b""))) == 2


@pytest.mark.parametrize("length", [0, 1, 7])
def test_any_length_of_name_and_content(length: int) -> None:
    whole = tflite_edit.add_metadata(MODEL, "n" * length, b"c" * length)
    assert entry_of(whole, "n" * length) == b"c" * length
    assert unpacked(whole).metadata[0].name == b"n" * length


def test_what_cannot_be_moved_is_refused() -> None:
    class Later(schema.ModelT):  # type: ignore[misc]
        """A Model table with a field that the schema does not have yet."""

        def Pack(self, builder: Any) -> Any:
            builder.StartObject(10)
            builder.PrependUint32Slot(9, 7, 0)
            return builder.EndObject()

    with pytest.raises(ValueError, match="newer"):
        tflite_edit.add_metadata(packed(Later()), "NOTE", b"")
    outside = unpacked(MODEL)
    outside.buffers[1].offset, outside.buffers[1].size = 4096, 16
    with pytest.raises(ValueError, match="outside"):
        tflite_edit.add_metadata(packed(outside), "NOTE", b"")
    with pytest.raises(ValueError, match="no buffers"):
        tflite_edit.add_metadata(packed(schema.ModelT()), "NOTE", b"")
    with pytest.raises(ValueError, match="TFL3"):
        tflite_edit.add_metadata(b"PK\x03\x04" + bytes(100), "NOTE", b"")


@given(st.integers(0, len(MODEL) - 1))
def test_a_truncated_model_is_a_value_error_or_still_whole_where_read(length: int) -> None:
    with contextlib.suppress(ValueError):
        tflite_edit.add_metadata(MODEL[:length], "NOTE", b"")


@given(st.lists(st.tuples(st.integers(8, len(MODEL) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_are_a_value_error_at_worst(changes: list[tuple[int, int]]) -> None:
    data = bytearray(with_entries(("min_runtime_version", b"1.5.0")))
    for place, value in changes:
        data[place] = value
    with contextlib.suppress(ValueError):
        tflite_edit.add_metadata(bytes(data), "NOTE", b"")


# The archive


def test_the_archive_is_the_same_bytes_everywhere() -> None:
    whole = tflite_edit.append_files(b"model", [("labels.txt", b"a\nb\n"), ("x.json", b"{}")])
    assert whole.startswith(b"modelPK\x03\x04")
    # Of the archive that Python 3.11 writes; whatever another version adds would show here.
    assert hashlib.sha256(whole).hexdigest() == "f9b67807a3b6a1b58462746ea51da11e266203105243326f8bc34b9544370ee8"
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        assert [(entry.filename, entry.extra, entry.compress_type) for entry in archive.infolist()] == [
            ("labels.txt", b"", zipfile.ZIP_STORED),
            ("x.json", b"", zipfile.ZIP_STORED),
        ]


def test_offsets_of_the_archive_count_from_the_start_of_the_file() -> None:
    whole = embedded()
    end = whole.rindex(b"PK\x05\x06")
    size, start = struct.unpack_from("<II", whole, end + 12)
    assert start + size == end
    assert whole[start : start + 4] == b"PK\x01\x02"
    (first,) = struct.unpack_from("<I", whole, start + 42)
    assert whole[first : first + 4] == b"PK\x03\x04"


def test_constants_that_look_like_an_archive_do_no_harm() -> None:
    whole = tflite_edit.append_files(b"PK\x05\x06" + bytes(18), [("a", b"1")])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.read("a") == b"1"


# The metadata


def tables_of(data: bytes) -> tuple[int, int]:
    """Positions of the ModelMetadata table and of its only subgraph."""
    root = flatbuffer.follow(data, 0)
    (subgraph,) = flatbuffer.tables(data, root, 3)
    return root, subgraph


def string(data: bytes, table: int, number: int) -> str:
    place = flatbuffer.field(data, table, number)
    assert place is not None
    return flatbuffer.text(data, flatbuffer.follow(data, place))


def floats(data: bytes, table: int, number: int) -> list[float]:
    start, length = flatbuffer.vector(data, table, number, 4)
    return list(struct.unpack_from(f"<{length}f", data, start))


def test_what_is_said_of_the_release_can_be_read_back() -> None:
    whole = embedded()
    data = entry_of(whole)
    assert data[4:8] == b"M001"
    root, _ = tables_of(data)
    texts = {"name": 0, "description": 1, "version": 2, "authors": 4, "license": 5, "parser": 7}
    assert {key: string(data, root, number) for key, number in texts.items()} == {
        "name": "cells", "description": "Lit cells.\nTwo colours.", "version": "1.0.0",
        "authors": "A. Smith, B. Wright", "license": "MIT", "parser": "1.2.0",
    }  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.read("labels.txt").decode() == "green\nblå\n"
        assert json.loads(archive.read("release.json")) == {
            "format": 1, "name": "cells", "version": "1.0.0", "manifest_without_verify": "sha256:" + "1" * 64,
        }  # fmt: skip
    nobody = entry_of(embedded(release={**PARAMS["release"], "authors": []}))
    assert flatbuffer.field(nobody, tables_of(nobody)[0], 4) is None


@pytest.mark.parametrize(("dtype", "ends"), [("float32", [-1.0, 1.0]), ("uint8", [0.0, 255.0])])
def test_a_program_is_told_the_mean_and_std_of_the_training(dtype: str, ends: list[float]) -> None:
    data = entry_of(embedded(spec={**tiny.INPUT, "mean": 103.5, "std": 57.25, "dtype": dtype}))
    (image,) = flatbuffer.tables(data, tables_of(data)[1], 2)
    assert string(data, image, 0) == "image"
    (unit,) = flatbuffer.tables(data, image, 4)
    options = flatbuffer.follow(data, flatbuffer.field(data, unit, 1))
    assert (floats(data, options, 0), floats(data, options, 1)) == ([103.5], [57.25])
    stats = flatbuffer.follow(data, flatbuffer.field(data, image, 5))
    assert floats(data, stats, 1) + floats(data, stats, 0) == ends


def test_outputs_are_named_in_the_order_that_the_model_has_them() -> None:
    data = entry_of(embedded())
    tensors = flatbuffer.tables(data, tables_of(data)[1], 3)
    names = ["location", "category", "score", "number of detections"]
    assert [string(data, tensor, 0) for tensor in tensors] == names
    turned = {**OUTPUTS, "tensors": [{"index": 3 - item["index"], "meaning": item["meaning"]}
                                     for item in OUTPUTS["tensors"]]}  # fmt: skip
    data = entry_of(embedded(outputs=turned))
    tensors = flatbuffer.tables(data, tables_of(data)[1], 3)
    assert [string(data, tensor, 0) for tensor in tensors] == names[::-1]


# The step


def run(folder: Path, model: bytes) -> Path:
    for name in ("converted", "graph", "out"):
        (folder / name).mkdir(parents=True)
    (folder / "converted" / "model.tflite").write_bytes(model)
    contract.write_json(folder / "converted" / "input.json", tiny.INPUT)
    contract.write_json(folder / "graph" / "outputs.json", OUTPUTS)
    inputs = {name: str(folder / name) for name in ("converted", "graph")}
    embed.main(contract.Request("embed", PARAMS, inputs, str(folder / "out"), 2, "nonce"))
    return folder / "out"


def test_the_step_is_reproducible_and_passes_the_description_of_the_input_on(tmp_path: Path) -> None:
    first, second = run(tmp_path / "one", MODEL), run(tmp_path / "two", MODEL)
    assert (first / "model.tflite").read_bytes() == (second / "model.tflite").read_bytes() == embedded()
    assert (first / "input.json").read_bytes() == (tmp_path / "one" / "converted" / "input.json").read_bytes()


@pytest.mark.parametrize("model", [b"", b"TFL3" * 9, MODEL[:200], embedded()], ids=["empty", "odd", "cut", "twice"])
def test_the_step_fails_with_a_reason(tmp_path: Path, model: bytes) -> None:
    with pytest.raises(contract.Failure) as caught:
        run(tmp_path, model)
    assert caught.value.code == "embed-model"
    assert "\n" not in caught.value.message
