"""A FlatBuffer as a tree of plain values, and the tree as bytes again, in one layout that depends on nothing else.

A table is a list with the value of each field, None where it has its default; numbers are ints and floats, strings and
vectors of bytes, floats and longs their raw bytes, vectors of 32-bit integers and of tables lists. What a table
consists of is said as in ``tflite_schema``.
"""

import struct

import flatbuffer
from tflite_schema import INTEGERS, TEXT, Union

_WIDTH = {"b": 1, "i": 4, "I": 4, "q": 8, "f": 4}
_ALIGNED = 16
"""Constants of a network start at a multiple of it: TensorFlow uses them where they lie."""


def read(data, place, table):
    """The tree of the ``table`` at ``place`` of ``data`` (bytes). ValueError if it has a field that is not known."""
    values = []
    for number, kind in enumerate(table):
        position = None if kind is None else flatbuffer.field(data, place, number)
        values.append(None if position is None else _value(data, place, number, position, _chosen(kind, values)))
    for number in range(flatbuffer.fields(data, place)):
        known = number < len(table) and table[number] is not None
        if not known and flatbuffer.field(data, place, number) is not None:
            raise ValueError("a table of %d fields has a field %d" % (len(table), number))
    return values


def _chosen(kind, values):
    """The kind of a field whose table has the ``values`` before it: a Union is the table that it stands for."""
    if isinstance(kind, Union):
        return kind.tables.get(values[kind.field] or 0, ())
    return kind


def _value(data, place, number, position, kind):
    if isinstance(kind, tuple):
        return read(data, flatbuffer.follow(data, position), kind)
    if isinstance(kind, list):
        return [read(data, child, kind[0]) for child in flatbuffer.tables(data, place, number)]
    if kind in _WIDTH:
        return flatbuffer.read(data, "<" + kind, position)
    if kind == INTEGERS:
        return flatbuffer.numbers(data, place, number)
    width = _width(kind)
    start, length = flatbuffer.vector(data, place, number, width)
    return bytes(data[start : start + length * width])


def _width(kind):
    """Bytes an element of a vector of numbers or of a string."""
    return 1 if kind == TEXT else _WIDTH[kind[1]]


def write(tree, table, identifier):
    """The FlatBuffer whose root is ``tree``, a ``table``: each table is followed by what it points to, in the order of
    its fields. Equal trees give equal bytes."""
    file = _File()
    file.room(4, 4)
    file.data += identifier
    file.point(0, file.table(tree, table))
    return bytes(file.data)


class _File(object):
    """``data``: what is written so far. Its methods write one thing each behind it, and return where that is."""

    def __init__(self):
        self.data, self._layouts = bytearray(), {}

    def room(self, size, width, ahead=0):
        """``size`` bytes of zeros; what lies ``ahead`` bytes behind their start has a multiple of ``width``."""
        self.data.extend(bytes(-(len(self.data) + ahead) % width))
        self.data.extend(bytes(size))
        return len(self.data) - size

    def point(self, place, target):
        struct.pack_into("<I", self.data, place, target - place)

    def table(self, values, table):
        present = [number for number, value in enumerate(values) if value is not None]
        kinds = {number: _chosen(table[number], values) for number in present}
        offsets, size = {}, 4
        for number in sorted(present, key=lambda number: (kinds[number] == "b", number)):
            offsets[number], size = size, size + (1 if kinds[number] == "b" else 4)
        layout = self._layout([offsets.get(number, 0) for number in range(max(present, default=-1) + 1)], size)
        place = self.room(size, 4)
        struct.pack_into("<i", self.data, place, place - layout)
        for number in present:
            if isinstance(kinds[number], str) and kinds[number] in _WIDTH:
                struct.pack_into("<" + kinds[number], self.data, place + offsets[number], values[number])
            else:
                self.point(place + offsets[number], self._pointed(values[number], kinds[number]))
        return place

    def _layout(self, offsets, size):
        """A table's list of fields; tables that have the same share it."""
        content = struct.pack("<%dH" % (2 + len(offsets)), 4 + 2 * len(offsets), size, *offsets)
        if content not in self._layouts:
            place = self._layouts[content] = self.room(len(content), 2)
            self.data[place:] = content
        return self._layouts[content]

    def _pointed(self, value, kind):
        if isinstance(kind, tuple):
            return self.table(value, kind)
        if isinstance(kind, list):
            start = self._vector(len(value), bytes(4 * len(value)), 4)
            for index, child in enumerate(value, 1):
                self.point(start + 4 * index, self.table(child, kind[0]))
            return start
        if kind == INTEGERS:
            return self._vector(len(value), struct.pack("<%di" % len(value), *value), 4)
        if kind == TEXT:
            return self._vector(len(value), value + b"\0", 4)
        width = _width(kind)
        return self._vector(len(value) // width, value, _ALIGNED if width == 1 else width)

    def _vector(self, length, content, width):
        place = self.room(4 + len(content), max(4, width), ahead=4)
        struct.pack_into("<I", self.data, place, length)
        self.data[place + 4 :] = content
        return place
