"""Where two .tflite files part: in which tensor, metadata or operator's options, and at which bytes.

A .tflite is a FlatBuffer; only as much of it is walked as names its parts. Both files are untrusted: every position is
checked, and work is bounded by the files' sizes.

Source: the TFLite schema, version 3 (field numbers), and the FlatBuffers internals page (tables, vectors).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

IDENTIFIER = b"TFL3"
MOST_TABLES = 200_000

_MODEL_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS, _MODEL_METADATA = 1, 2, 4, 6
_CODE_CUSTOM = 1
_SUBGRAPH_TENSORS, _SUBGRAPH_OPERATORS = 0, 3
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_QUANTIZATION = 0, 1, 2, 3, 4
_OPERATOR_CODE, _OPERATOR_OPTIONS = 0, 5
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA = 0
_ZIP = b"PK\x03\x04"
_BLOCK = 4096
_QUANTIZATION = (("min", 0, 4), ("max", 1, 4), ("scale", 2, 4), ("zero point", 3, 8))


@dataclass(frozen=True)
class Part:
    """Bytes of a file that have a name: ``start`` and ``size`` count from the file's beginning."""

    start: int
    size: int


@dataclass(frozen=True)
class Difference:
    """``what`` differs; ``first`` and ``last`` are bytes of file A that bound it, None where A has nothing of it.

    ``others`` is how many more named parts differ.
    """

    what: str
    first: int | None
    last: int | None
    others: int = 0

    def __str__(self) -> str:
        place = "" if self.first is None else f", bytes {self.first:,} to {self.last:,} of the first file"
        more = f"; {self.others:,} more parts differ" if self.others else ""
        return f"{self.what}{place}{more}"


def compare(one: bytes, other: bytes) -> Difference | None:
    """The first part in which ``one`` and ``other`` differ; None if they are the same bytes.

    Tensors come before the options of operators, these before metadata; what is in no named part is structure. A file
    that is no .tflite is compared byte by byte.
    """
    if one == other:
        return None
    try:
        parts, others = parts_of(one), parts_of(other)
    except ValueError as error:
        return _bytes(f"no .tflite that can be read ({error})", one, other)
    found = list(_differing(parts, others, one, other))
    if not found:
        return _bytes("structure: nothing that has a name", one, other)
    name = found[0]
    if name not in others:
        part = parts[name]
        return Difference(f"{name} is only in the first", part.start, part.start + part.size - 1, len(found) - 1)
    if name not in parts:
        return Difference(f"{name} is only in the second", None, None, len(found) - 1)
    first, last = parts[name], others[name]
    if first.size != last.size:
        what = f"{name} has {first.size:,} bytes in the first and {last.size:,} in the second"
        return Difference(what, first.start, first.start + max(0, first.size - 1), len(found) - 1)
    low, high = _range(_of(one, first), _of(other, last))
    return Difference(name, first.start + low, first.start + high, len(found) - 1)


def parts_of(data: bytes) -> dict[str, Part]:
    """Name -> place of all that has a name in ``data``, the bytes of a .tflite. ValueError if it is none."""
    if data[4:8] != IDENTIFIER:
        raise ValueError("it has no TFL3 identifier")
    parts = dict(_Walk(data).parts())
    files = data.find(_ZIP, max(part.start + part.size for part in parts.values()) if parts else 0)
    if files >= 0:
        parts["associated files, a zip at the end"] = Part(files, len(data) - files)
    return parts


def _differing(parts: Mapping[str, Part], others: Mapping[str, Part], one: bytes, other: bytes) -> Iterator[str]:
    """The names of parts that differ, in the order of the first file."""
    for name in [*parts, *(name for name in others if name not in parts)]:
        if name not in parts or name not in others or _of(one, parts[name]) != _of(other, others[name]):
            yield name


def _of(data: bytes, part: Part) -> memoryview:
    return memoryview(data)[part.start : part.start + part.size]


def _range(one: bytes | memoryview, other: bytes | memoryview) -> tuple[int, int]:
    """The first and the last place at which two different runs of bytes of one length differ."""
    blocks = [at for at in range(0, len(one), _BLOCK) if one[at : at + _BLOCK] != other[at : at + _BLOCK]]
    end = min(blocks[-1] + _BLOCK, len(one))
    low = next(at for at in range(blocks[0], end) if one[at] != other[at])
    return low, next(at for at in range(end - 1, low - 1, -1) if one[at] != other[at])


def _bytes(what: str, one: bytes, other: bytes) -> Difference:
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return Difference(f"{what}; {len(one):,} bytes here, {len(other):,} there", length, max(length, len(one) - 1))
    low, high = _range(one[:length], other[:length])
    return Difference(what, low, high if len(one) == len(other) else len(one) - 1)


class _Walk:
    """One walk over a file: how many tables were met, and how many bytes were named."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tables_left = MOST_TABLES
        # Buffers that tensors share are named more than once; a file in which all lies upon all is refused.
        self.bytes_left = 4 * len(data) + (1 << 20)

    def parts(self) -> Iterator[tuple[str, Part]]:
        model = self.follow(0)
        buffers = list(self.tables(model, _MODEL_BUFFERS))
        seen: dict[str, int] = {}

        def distinct(name: str) -> str:
            seen[name] = seen.get(name, 0) + 1
            return name if seen[name] == 1 else f"{name} ({seen[name]})"

        subgraphs = list(self.tables(model, _MODEL_SUBGRAPHS))
        for subgraph in subgraphs:
            for tensor in self.tables(subgraph, _SUBGRAPH_TENSORS):
                number = self.number(tensor, _TENSOR_BUFFER, "<I")
                called = distinct(f"tensor {self.text(tensor, _TENSOR_NAME)}")
                yield f"type of {called}", self.scalar(tensor, _TENSOR_TYPE)
                yield f"shape of {called}", self.vector(tensor, _TENSOR_SHAPE, 4)
                quantization = self.table(tensor, _TENSOR_QUANTIZATION)
                for word, field, width in _QUANTIZATION if quantization is not None else ():
                    assert quantization is not None
                    yield f"{word} of {called}", self.vector(quantization, field, width)
                yield f"{called}, buffer {number}", self.buffer(buffers, number)
        customs = [self.text(code, _CODE_CUSTOM) for code in self.tables(model, _MODEL_CODES)]
        for subgraph in subgraphs:
            for operator in self.tables(subgraph, _SUBGRAPH_OPERATORS):
                code = self.number(operator, _OPERATOR_CODE, "<I")
                options = self.vector(operator, _OPERATOR_OPTIONS, 1)
                if options.size and code < len(customs):
                    yield distinct(f"custom options of {customs[code]}"), options
        for entry in self.tables(model, _MODEL_METADATA):
            number = self.number(entry, _METADATA_BUFFER, "<I")
            yield distinct(f"metadata {self.text(entry, _METADATA_NAME)}"), self.buffer(buffers, number)

    def buffer(self, buffers: list[int], number: int) -> Part:
        if number >= len(buffers):
            raise ValueError(f"buffer {number} of {len(buffers)}")
        return self.vector(buffers[number], _BUFFER_DATA, 1)

    def read(self, form: str, position: int) -> int:
        try:
            value: int = struct.unpack_from(form, self.data, position)[0]
        except struct.error:
            raise ValueError(f"position {position} lies outside the file") from None
        return value

    def follow(self, position: int) -> int:
        return position + self.read("<I", position)

    def field(self, table: int, number: int) -> int | None:
        virtual = table - self.read("<i", table)
        if virtual < 0:
            raise ValueError("a table's list of fields lies outside the file")
        entry = 4 + 2 * number
        if entry >= self.read("<H", virtual):
            return None
        offset = self.read("<H", virtual + entry)
        return table + offset if offset else None

    def number(self, table: int, number: int, form: str) -> int:
        place = self.field(table, number)
        return self.read(form, place) if place is not None else 0

    def scalar(self, table: int, number: int) -> Part:
        """The one byte of a scalar field."""
        place = self.field(table, number)
        return self._named(place or 0, 0 if place is None else 1)

    def table(self, table: int, number: int) -> int | None:
        place = self.field(table, number)
        return self.follow(place) if place is not None else None

    def vector(self, table: int, number: int, width: int) -> Part:
        place = self.field(table, number)
        if place is None:
            return Part(0, 0)
        start = self.follow(place)
        return self._named(start + 4, self.read("<I", start) * width)

    def tables(self, table: int, number: int) -> Iterator[int]:
        part = self.vector(table, number, 4)
        for place in range(part.start, part.start + part.size, 4):
            self.tables_left -= 1
            if self.tables_left < 0:
                raise ValueError(f"more than {MOST_TABLES:,} tables")
            yield self.follow(place)

    def text(self, table: int, number: int) -> str:
        """A name, short and printable, as it is shown and compared."""
        part = self.vector(table, number, 1)
        name = bytes(_of(self.data, Part(part.start, min(part.size, 200)))).decode("utf-8", "replace")
        return name if name.isprintable() and name else ascii(name)

    def _named(self, start: int, size: int) -> Part:
        if start + size > len(self.data):
            raise ValueError("a part ends outside the file")
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise ValueError("its parts lie upon each other")
        return Part(start, size)
