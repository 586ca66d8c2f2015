"""Rewrites a FlexBuffer map in one canonical layout.

TensorFlow's converter writes the options of a custom operator as a FlexBuffer map, with the keys laid out in
the order of a randomly seeded hash table: same content, other bytes in every process. Here the map is read and
laid out again with its keys in sorted order, exactly as the reference builder would have written it.
"""

import struct

_INT, _UINT, _FLOAT, _MAP, _BOOL = 1, 2, 3, 9, 26
_WIDTHS = (1, 2, 4, 8)
_SCALARS = {_INT: "bhiq", _UINT: "BHIQ", _BOOL: "BHIQ", _FLOAT: ".efd"}  # struct's letter for each width


def read_map(data):
    """The scalars of a map (bytes) as {key bytes: (type, width in bytes, value)}. ValueError if it holds more."""
    if len(data) < 3 or data[-2] >> 2 != _MAP or data[-1] not in _WIDTHS:
        raise ValueError("the options are not a FlexBuffer map")
    root = len(data) - 2 - data[-1]
    values, width = _back(data, root, data[-1]), _WIDTHS[data[-2] & 3]
    size = _unsigned(data, values - width, width)
    keys, key_width = _back(data, values - 3 * width, width), _unsigned(data, values - 2 * width, width)
    if key_width not in _WIDTHS or _unsigned(data, keys - key_width, key_width) != size:
        raise ValueError("the map's keys and values differ in number")
    found = {}
    for index in range(size):
        start = _back(data, keys + index * key_width, key_width)
        end = data.find(b"\0", start)
        kind = _unsigned(data, values + size * width + index, 1) >> 2
        if end < 0 or kind not in _SCALARS:
            raise ValueError("the map holds something else than numbers")
        found[bytes(data[start:end])] = (kind, width, _scalar(data, values + index * width, width, kind))
    if len(found) != size:
        raise ValueError("the map has a key twice")
    return found


def write_map(entries):
    """The one canonical layout of ``entries`` (as from :func:`read_map`), as bytes.

    Offsets count backwards, and an element is as wide as the widest of its vector: see "Vectors" and "Maps" in
    the FlexBuffers specification.
    """
    order, data, starts = sorted(entries), bytearray(), []
    for key in order:
        starts.append(len(data))
        data += key + b"\0"

    width = max([_width(len(order))] + [_offset_width(data, start, 1 + i) for i, start in enumerate(starts)])
    _align(data, width)
    _append(data, len(order), width)
    keys, key_width = len(data), width
    for start in starts:
        _append(data, len(data) - start, width)

    width = max([_width(len(order)), _offset_width(data, keys, 0)] + [entry[1] for entry in entries.values()])
    _align(data, width)
    for number in (len(data) - keys, key_width, len(order)):
        _append(data, number, width)
    values = len(data)
    for key in order:
        kind, _, value = entries[key]
        data += struct.pack(_form(kind, width), value)
    data += bytearray(entries[key][0] << 2 | _WIDTHS.index(width) for key in order)

    root_width = _offset_width(data, values, 0)
    _align(data, root_width)
    _append(data, len(data) - values, root_width)
    data += bytearray([_MAP << 2 | _WIDTHS.index(width), root_width])
    return bytes(data)


def canonical(data):
    """``data`` (a map, bytes) in its canonical layout, of the same length. ValueError if that cannot be."""
    fresh = write_map(read_map(data))
    if len(fresh) != len(data):
        raise ValueError("the map's canonical layout takes %d bytes, not %d" % (len(fresh), len(data)))
    return fresh


def _form(kind, width):
    form = _SCALARS[kind][_WIDTHS.index(width)]
    if form == ".":
        raise ValueError("a float of one byte")
    return "<" + form


def _scalar(data, position, width, kind):
    try:
        return struct.unpack_from(_form(kind, width), data, position)[0]
    except struct.error:
        raise ValueError("the map points outside itself")


def _unsigned(data, position, width):
    if position < 0:
        raise ValueError("the map points outside itself")
    return _scalar(data, position, width, _UINT)


def _back(data, position, width):
    """The place that the offset at ``position`` points back to."""
    target = position - _unsigned(data, position, width)
    if target < 0:
        raise ValueError("the map points outside itself")
    return target


def _width(number):
    """Bytes that an unsigned number takes."""
    return next(width for width in _WIDTHS if number < 1 << (8 * width))


def _offset_width(data, target, index):
    """Bytes that the offset from element ``index`` of a vector, written next, to ``target`` takes."""
    for width in _WIDTHS:
        place = len(data) + -len(data) % width + index * width
        if _width(place - target) <= width:
            return width
    raise AssertionError("an offset beyond 64 bits")


def _align(data, width):
    data += bytearray(-len(data) % width)


def _append(data, number, width):
    data += struct.pack(_form(_UINT, width), number)
