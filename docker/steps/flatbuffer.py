"""Reads as much of a .tflite (a FlatBuffer) as the steps need, with no generated code.

Only positions are computed here, so that a caller can change bytes in place. Every position is checked: a
file that points outside itself is a ValueError, not a crash.
"""

import struct

IDENTIFIER = b"TFL3"

# Field numbers of the TFLite schema, version 3.
_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS = 1, 2
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
    if len(data) < 8 or bytes(data[4:8]) != IDENTIFIER:
        raise ValueError("not a TFLite file: it has no TFL3 identifier")
    model = _follow(data, 0)
    names = []
    for code in _tables(data, model, _MODEL_OPERATOR_CODES):
        field = _field(data, code, _CODE_CUSTOM)
        names.append(_text(data, _follow(data, field)) if field else None)
    found = []
    for subgraph in _tables(data, model, _MODEL_SUBGRAPHS):
        for operator in _tables(data, subgraph, _SUBGRAPH_OPERATORS):
            field = _field(data, operator, _OPERATOR_CODE)
            number = _read(data, "<I", field) if field else 0
            if number >= len(names):
                raise ValueError("operator code %d of %d" % (number, len(names)))
            if names[number] is not None:
                found.append(
                    CustomOperator(
                        names[number],
                        _numbers(data, operator, _OPERATOR_INPUTS),
                        _numbers(data, operator, _OPERATOR_OUTPUTS),
                        _vector(data, operator, _OPERATOR_CUSTOM_OPTIONS, 1),
                    )
                )
    return found


def _read(data, form, position):
    try:
        return struct.unpack_from(form, data, position)[0]
    except struct.error:
        raise ValueError("position %d lies outside the file" % position)


def _follow(data, position):
    """The place that the offset stored at ``position`` points to."""
    return position + _read(data, "<I", position)


def _field(data, table, number):
    """Position of field ``number`` of ``table``, or None where it has its default."""
    virtual = table - _read(data, "<i", table)
    if virtual < 0:
        raise ValueError("a table's field list lies outside the file")
    entry = 4 + 2 * number
    if entry >= _read(data, "<H", virtual):
        return None
    offset = _read(data, "<H", virtual + entry)
    return table + offset if offset else None


def _vector(data, table, number, width):
    """(position of the first element, number of elements) of a vector field, or None if it is absent."""
    field = _field(data, table, number)
    if field is None:
        return None
    vector = _follow(data, field)
    length = _read(data, "<I", vector)
    if vector + 4 + length * width > len(data):
        raise ValueError("a vector ends outside the file")
    return vector + 4, length


def _tables(data, table, number):
    start, length = _vector(data, table, number, 4) or (0, 0)
    return [_follow(data, start + 4 * index) for index in range(length)]


def _numbers(data, table, number):
    start, length = _vector(data, table, number, 4) or (0, 0)
    return [_read(data, "<i", start + 4 * index) for index in range(length)]


def _text(data, position):
    length = _read(data, "<I", position)
    if position + 4 + length > len(data):
        raise ValueError("a string ends outside the file")
    return bytes(data[position + 4 : position + 4 + length]).decode("utf-8")
