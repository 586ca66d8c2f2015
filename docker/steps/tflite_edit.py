"""Adds to a finished .tflite without touching a byte of what is there: an entry in front, files behind.

Offsets in a FlatBuffer point forward. So a new root table can stand in front of the old content and point into it; the
old content is moved by a multiple of 16 bytes, which is all the alignment that TensorFlow asks for.
"""

import io
import struct
import zipfile

import flatbuffer

_ALIGNED = 16
_FIELDS = flatbuffer.MODEL_SIGNATURE_DEFS + 1
_KEPT = (
    flatbuffer.MODEL_OPERATOR_CODES,
    flatbuffer.MODEL_SUBGRAPHS,
    flatbuffer.MODEL_DESCRIPTION,
    flatbuffer.MODEL_METADATA_BUFFER,
    flatbuffer.MODEL_SIGNATURE_DEFS,
)
"""Fields of the Model table that hold an offset and stay as they are."""
_BUFFER_OFFSET = 1
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def add_metadata(model, name, content):
    """``model`` (a .tflite, bytes) with one more metadata entry: ``name`` and its ``content`` (bytes).

    What follows the new front is ``model``, byte for byte. ValueError if it has an entry of that name, is no .tflite,
    or uses what this module does not know how to move.
    """
    old = flatbuffer.root(model)
    if name in [entry for entry, _, _ in flatbuffer.metadata(model)]:
        raise ValueError("the model has an entry %s already" % name)
    if any(flatbuffer.field(model, old, number) for number in range(_FIELDS, 8 * _FIELDS)):
        raise ValueError("the model has parts that are newer than version 3 of the schema as known here")
    buffers = flatbuffer.tables(model, old, flatbuffer.MODEL_BUFFERS)
    entries = flatbuffer.tables(model, old, flatbuffer.MODEL_METADATA)
    if not buffers:
        raise ValueError("the model has no buffers")
    if any(flatbuffer.field(model, buffer, _BUFFER_OFFSET) for buffer in buffers):
        raise ValueError("the model keeps its constants outside the FlatBuffer")

    front = bytearray(8)
    layout, table = _room(front, 4 + 2 * _FIELDS), _room(front, 4 + 4 * _FIELDS)
    buffer_list, entry_list = _room(front, 4 * (2 + len(buffers))), _room(front, 4 * (2 + len(entries)))
    entry_layout, entry = _room(front, 4 + 2 * 2), _room(front, 4 + 4 * 2)
    text = name.encode("utf-8")
    label = _room(front, 4 + len(text) + 1)
    buffer_layout, buffer = _room(front, 4 + 2), _room(front, 4 + 4)
    data = _room(front, 4 + len(content), ahead=4)
    shift = _room(front, 0, _ALIGNED)

    _point(front, 0, table)
    front[4:8] = flatbuffer.IDENTIFIER
    fields = {}
    version = flatbuffer.field(model, old, flatbuffer.MODEL_VERSION)
    if version is not None:
        fields[flatbuffer.MODEL_VERSION] = flatbuffer.read(model, "<I", version)
    for number in _KEPT:
        place = flatbuffer.field(model, old, number)
        if place is not None:
            fields[number] = shift + flatbuffer.follow(model, place) - (table + 4 + 4 * number)
    for number, place in ((flatbuffer.MODEL_BUFFERS, buffer_list), (flatbuffer.MODEL_METADATA, entry_list)):
        fields[number] = place - (table + 4 + 4 * number)
    _table(front, layout, table, _FIELDS, fields)
    _list(front, buffer_list, [shift + place for place in buffers] + [buffer])
    _list(front, entry_list, [shift + place for place in entries] + [entry])
    _table(
        front,
        entry_layout,
        entry,
        2,
        {flatbuffer.METADATA_NAME: label - (entry + 4), flatbuffer.METADATA_BUFFER: len(buffers)},
    )
    _bytes(front, label, text)
    _table(front, buffer_layout, buffer, 1, {flatbuffer.BUFFER_DATA: data - (buffer + 4)})
    _bytes(front, data, content)
    return bytes(front) + bytes(model)


def append_files(model, files):
    """``model`` with ``files`` ((name, bytes), in this order) behind it: a ZIP archive, stored, with a fixed date.

    Programs look for the archive from the end of the file, as TensorFlow's metadata writer puts it there, and count its
    offsets from the file's first byte. TensorFlow itself does not read that far.
    """
    whole = io.BytesIO()
    whole.write(model)
    # Every field that zipfile would else take from the system or its own version.
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.create_system, entry.create_version, entry.extract_version = 3, 20, 20
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return whole.getvalue()


def _room(front, size, aligned=4, ahead=0):
    """Makes room for ``size`` bytes; returns where. ``ahead``: what lies so many bytes further is aligned to 16."""
    wanted = _ALIGNED if ahead else aligned
    front.extend(bytes(-(len(front) + ahead) % wanted))
    place = len(front)
    front.extend(bytes(size))
    return place


def _point(front, place, target):
    struct.pack_into("<I", front, place, target - place)


def _table(front, layout, table, count, fields):
    """A table of ``count`` possible fields of four bytes each; ``fields``: number -> its raw value."""
    struct.pack_into("<HH", front, layout, 4 + 2 * count, 4 + 4 * count)
    struct.pack_into("<i", front, table, table - layout)
    for number, value in fields.items():
        struct.pack_into("<H", front, layout + 4 + 2 * number, 4 + 4 * number)
        struct.pack_into("<I", front, table + 4 + 4 * number, value)


def _list(front, place, targets):
    struct.pack_into("<I", front, place, len(targets))
    for index, target in enumerate(targets, 1):
        _point(front, place + 4 * index, target)


def _bytes(front, place, content):
    """A vector of bytes; room for a string has its final zero already."""
    struct.pack_into("<I", front, place, len(content))
    front[place + 4 : place + 4 + len(content)] = content
