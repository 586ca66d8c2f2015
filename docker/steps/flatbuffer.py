"""Reads as much of a .tflite (a FlatBuffer) as the steps need, with no generated code.

Only positions are computed here, so that a caller can change bytes in place. Every position is checked: a
file that points outside itself is a ValueError, not a crash. Field numbers are those of TensorFlow's
lite/schema/schema.fbs, version 3.
"""

import struct

IDENTIFIER = b"TFL3"

MODEL_VERSION, MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_DESCRIPTION = 0, 1, 2, 3
MODEL_BUFFERS, MODEL_METADATA_BUFFER, MODEL_METADATA, MODEL_SIGNATURE_DEFS = 4, 5, 6, 7
BUFFER_DATA = 0
METADATA_NAME, METADATA_BUFFER = 0, 1
_CODE_CUSTOM = 1
_SUBGRAPH_OPERATORS = 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_CUSTOM_OPTIONS = 0, 1, 2, 5


class CustomOperator(object):
    """A custom operator: ``name``, the tensor numbers of ``inputs`` and ``outputs``, and where its options
    lie in the file: ``options`` = (position, length) in bytes, None if it has none."""

    def __init__(self, name, inputs, outputs, options):
        self.name, self.inputs, self.outputs, self.options = name, inputs, outputs, options


def custom_operators(data):
    """The custom operators of all subgraphs of a .tflite (bytes), in order of execution."""
    model = root(data)
    names = []
    for code in tables(data, model, MODEL_OPERATOR_CODES):
        place = field(data, code, _CODE_CUSTOM)
        names.append(text(data, follow(data, place)) if place else None)
    found = []
    for subgraph in tables(data, model, MODEL_SUBGRAPHS):
        for operator in tables(data, subgraph, _SUBGRAPH_OPERATORS):
            place = field(data, operator, _OPERATOR_CODE)
            number = read(data, "<I", place) if place else 0
            if number >= len(names):
                raise ValueError("operator code %d of %d" % (number, len(names)))
            if names[number] is not None:
                found.append(
                    CustomOperator(
                        names[number],
                        numbers(data, operator, _OPERATOR_INPUTS),
                        numbers(data, operator, _OPERATOR_OUTPUTS),
                        vector(data, operator, _OPERATOR_CUSTOM_OPTIONS, 1),
                    )
                )
    return found


def metadata(data):
    """The named entries that a .tflite (bytes) carries beside the network: [(name, position, length)] of their bytes.

    TensorFlow calls them the model's metadata; ``TFLITE_METADATA`` is the one that programs are configured by.
    """
    model = root(data)
    buffers = tables(data, model, MODEL_BUFFERS)
    found = []
    for entry in tables(data, model, MODEL_METADATA):
        name, number = field(data, entry, METADATA_NAME), field(data, entry, METADATA_BUFFER)
        number = read(data, "<I", number) if number else 0
        if number >= len(buffers):
            raise ValueError("buffer %d of %d" % (number, len(buffers)))
        start, length = vector(data, buffers[number], BUFFER_DATA, 1) or (0, 0)
        found.append((text(data, follow(data, name)) if name else "", start, length))
    return found


def root(data):
    """Position of the Model table."""
    if len(data) < 8 or bytes(data[4:8]) != IDENTIFIER:
        raise ValueError("not a TFLite file: it has no TFL3 identifier")
    return follow(data, 0)


def read(data, form, position):
    """The number at ``position``, as ``struct`` reads ``form``."""
    try:
        return struct.unpack_from(form, data, position)[0]
    except struct.error:
        raise ValueError("position %d lies outside the file" % position)


def follow(data, position):
    """The place that the offset stored at ``position`` points to."""
    return position + read(data, "<I", position)


def field(data, table, number):
    """Position of field ``number`` of ``table``, or None where it has its default."""
    virtual = _field_list(data, table)
    entry = 4 + 2 * number
    if entry >= read(data, "<H", virtual):
        return None
    offset = read(data, "<H", virtual + entry)
    return table + offset if offset else None


def fields(data, table):
    """How many fields ``table`` has room for: those of a greater number have their default."""
    return max(0, (read(data, "<H", _field_list(data, table)) - 4) // 2)


def _field_list(data, table):
    place = table - read(data, "<i", table)
    if place < 0:
        raise ValueError("a table's field list lies outside the file")
    return place


def vector(data, table, number, width):
    """(position of the first element, number of elements) of a vector field, or None if it is absent."""
    place = field(data, table, number)
    if place is None:
        return None
    start = follow(data, place)
    length = read(data, "<I", start)
    if start + 4 + length * width > len(data):
        raise ValueError("a vector ends outside the file")
    return start + 4, length


def tables(data, table, number):
    """Positions of the tables in a vector field; none if it is absent."""
    start, length = vector(data, table, number, 4) or (0, 0)
    return [follow(data, start + 4 * index) for index in range(length)]


def numbers(data, table, number):
    """The values of a vector of 32-bit integers; none if it is absent."""
    start, length = vector(data, table, number, 4) or (0, 0)
    return [read(data, "<i", start + 4 * index) for index in range(length)]


def text(data, position):
    """The string at ``position``."""
    length = read(data, "<I", position)
    if position + 4 + length > len(data):
        raise ValueError("a string ends outside the file")
    return bytes(data[position + 4 : position + 4 + length]).decode("utf-8")
