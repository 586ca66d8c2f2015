"""Reads record files with the features of the TensorFlow Object Detection API: pictures with their boxes inside.

Source: object_detection/data_decoders/tf_example_decoder.py. Boxes are shares of the upright picture.
"""

import functools
import math
import os
import posixpath
import re

import collect
import contract
import pictures
import places
from dataset import Entry, Rejected, printable

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_HEADER, _FOOTER = 12, 4
"""Bytes around each record: its length with a checksum before, its own checksum after."""


def read(source, settings, progress, threads=1):
    """Found, for a manifest's dataset ``settings`` on ``source``; calls ``progress(done, total)``."""
    files = matching(source, settings["records"])
    if not files:
        raise contract.Failure(
            "dataset-folder",
            "records: no file of the source fits %s" % ", ".join(settings["records"]),
            "set dataset.records to globs of the record files within the source",
        )
    total = sum(_count(source, file) for file in files)
    entries = (make for file in files for make in _entries(source, file, settings["classes"]))
    # In this process alone: TensorFlow does not survive a fork.
    return collect.collect(entries, total, settings, lambda taken: [], progress)


def matching(source, patterns):
    """The files within ``source`` that fit one of the globs; ``**`` stands for any folders."""
    expressions = [re.compile(_expression(pattern)) for pattern in patterns]
    found = []
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), source).replace(os.sep, "/")
            if any(expression.fullmatch(path) for expression in expressions):
                found.append(path)
    return sorted(found)


def _expression(pattern):
    """``pattern`` as a regular expression: ``*`` and ``?`` stay within a name, ``**`` is any folders."""
    parts = pattern.split("/")
    text = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            text += "(?:[^/]+/)*" + ("[^/]+" if last else "")
        else:
            signs = re.findall(r"\[!?[^\]]+\]|.", part)
            text += "".join(_SIGNS.get(sign) or _literal(sign) for sign in signs) + ("" if last else "/")
    return text


_SIGNS = {"*": "[^/]*", "?": "[^/]"}


def _literal(sign):
    if len(sign) == 1:
        return re.escape(sign)
    return "[" + ("^" if sign[1] == "!" else "") + re.escape(sign[1:-1].lstrip("!")).replace("\\-", "-") + "]"


def _records(source, file):
    """(offset of its bytes, bytes) of each record. Failure ``dataset-record`` where the file is broken."""
    from tf1 import tf  # Slow to import, and absent where the other readers are tested.

    path = os.path.join(source, file)
    places.inside(path, source, "records", file)
    offset, number = 0, 0
    try:
        for data in tf.compat.v1.io.tf_record_iterator(path):
            yield offset + _HEADER, data
            offset += _HEADER + len(data) + _FOOTER
            number += 1
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        raise contract.Failure(
            "dataset-record",
            "%s is broken after record %d: %s" % (printable(file), number, str(error).splitlines()[0][:200]),
            "fetch or write the file again",
        )


def _count(source, file):
    return sum(1 for _ in _records(source, file))


def _entries(source, file, classes):
    for number, (offset, data) in enumerate(_records(source, file)):
        yield _entry(source, file, number, offset, data, classes)


def _entry(source, file, number, offset, data, classes):
    place = "%s, record %d" % (printable(file), number)

    def make():
        from tf1 import tf

        try:
            example = tf.train.Example.FromString(data)
        except Exception:  # protobuf's own error; the bytes are untrusted
            raise Rejected("is not a tf.train.Example", place)
        try:
            return _read(example.features.feature, source, file, place, offset, len(data), number, classes)
        except Rejected as reason:
            raise Rejected(str(reason), reason.file or place) from reason

    return make


def _read(feature, source, file, place, offset, length, number, classes):
    encoded = feature["image/encoded"].bytes_list.value
    if len(encoded) != 1:
        raise Rejected("has no picture in image/encoded")
    if len(encoded[0]) > pictures.MAX_BYTES:
        raise Rejected("picture of more than %d bytes" % pictures.MAX_BYTES)
    named = [text.decode("utf-8", "replace") for text in feature["image/filename"].bytes_list.value]
    stem = "%s/%06d" % (posixpath.splitext(file)[0], number)
    name = posixpath.basename(named[0].replace("\\", "/")) if named and named[0] else "%06d" % number
    sides = [list(feature["image/object/bbox/" + side].float_list.value) for side in _SIDES]
    labels = _labels(feature, classes, len(sides[0]))
    if len({len(side) for side in sides} | {len(labels)}) != 1:
        raise Rejected("has %s box edges and %d labels" % ([len(side) for side in sides], len(labels)))
    if not all(math.isfinite(value) for side in sides for value in side):
        raise Rejected("has a box edge that is not finite")
    marks = [feature["image/object/" + key].int64_list.value for key in ("difficult", "is_crowd", "group_of")]
    objects = [
        (label, edges, any(row < len(mark) and mark[row] for mark in marks))
        for row, (label, edges) in enumerate(zip(labels, zip(*sides)))
    ]
    read = functools.partial(_picture, os.path.join(source, file), offset, length)
    return Entry(place, place, posixpath.join(stem, name), read, None, objects, True)


def _picture(path, offset, length):
    """The picture in the record of ``length`` bytes at ``offset``."""
    from tf1 import tf

    with open(path, "rb") as stream:
        stream.seek(offset)
        example = tf.train.Example.FromString(stream.read(length))
    return bytes(example.features.feature["image/encoded"].bytes_list.value[0])


def _labels(feature, classes, count):
    """Label texts; where there are only numbers, from 1, those of ``classes`` in order."""
    texts = [text.decode("utf-8", "replace") for text in feature["image/object/class/text"].bytes_list.value]
    if texts or not count:
        return texts
    numbers = list(feature["image/object/class/label"].int64_list.value)
    if any(not 1 <= number <= len(classes) for number in numbers):
        raise Rejected("has a label out of 1 to %d and no label texts" % len(classes))
    return [classes[number - 1] for number in numbers]
