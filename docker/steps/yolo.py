"""Reads a folder of pictures and a folder of YOLO labels: a text file a picture, an object a line.

A line is ``class x y width height``: the class counts from 0, the rest are the box's centre and size as shares of the
picture. Five or more corner points after the class (segmentation) give the box around them. An empty file is a picture
without objects; a picture without a file is left out.
"""

import math
import os
import posixpath
import re

import collect
import contract
import gallery
import places
from dataset import Entry, Rejected, printable

MAX_BYTES = 4 << 20
_NOT_LABELS = ("classes.txt", "labels.txt", "obj.names", "readme.txt", "train.txt", "val.txt", "valid.txt", "test.txt")


def read(source, settings, progress, threads=1):
    """Found, for a manifest's dataset ``settings`` on ``source``; calls ``progress(done, total)``."""
    folder = places.folder(source, settings["annotations"], "annotations")
    images = gallery.Gallery(source, settings["images"])
    classes = names_of(source, settings)
    names = sorted(_texts(folder))

    def entry(name):
        file = printable(posixpath.join(settings["annotations"], name))

        def make():
            try:
                objects = parse(places.read(os.path.join(folder, name), source, MAX_BYTES), classes)
                image = images.find(posixpath.splitext(name)[0])
            except Rejected as reason:
                raise Rejected(str(reason), reason.file or file) from reason
            return Entry(file, images.file(image), image, images.reader(image), None, objects, True)

        return make

    def unannotated(taken):
        return [images.file(name) for name in images.names if name not in taken]

    return collect.collect(map(entry, names), len(names), settings, unannotated, progress, threads)


def parse(data, classes):
    """The objects of a label file's bytes, edges as shares; Rejected, with the line, if one is not understood."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise Rejected("label file is not text")
    objects = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        try:
            kind, values = int(words[0]), [float(word) for word in words[1:]]
        except ValueError:
            raise Rejected("line %d is not a class and numbers: %r" % (number, line[:60]))
        if not all(map(math.isfinite, values)):
            raise Rejected("line %d has a number that is not finite" % number)
        if not 0 <= kind < len(classes):
            raise Rejected("line %d has class %d, names are given for 0 to %d" % (number, kind, len(classes) - 1))
        objects.append((classes[kind], _edges(values, number), False))
    return objects


def _edges(values, number):
    if len(values) == 4:
        x, y, width, height = values
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(values) >= 6 and len(values) % 2 == 0:
        return (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    raise Rejected("line %d has %d numbers after the class, not 4" % (number, len(values)))


def names_of(source, settings):
    """The label of class 0, 1, ...: from the file ``names``, else the manifest's classes in order."""
    if not settings.get("names"):
        return list(settings["classes"])
    try:
        data = places.read(os.path.join(source, settings["names"]), source, MAX_BYTES)
        names = parse_names(data.decode("utf-8-sig"), settings["names"])
    except (Rejected, UnicodeDecodeError) as error:
        raise contract.Failure(
            "dataset-names",
            "names: %s: %s" % (printable(settings["names"]), error),
            "a file with a name a line, or a data.yaml with 'names'",
        )
    if not names:
        raise contract.Failure(
            "dataset-names", "names: %s names no class" % printable(settings["names"]), "a name a line, or data.yaml"
        )
    return names


def parse_names(text, file):
    """Class names: one a line, or what stands under ``names`` of a data.yaml, as a list or as numbered lines."""
    if not file.lower().endswith((".yaml", ".yml")):
        lines = [line.strip() for line in text.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        return lines
    listed = re.search(r"^names[ \t]*:[ \t]*\[([^\]]*)\]", text, re.MULTILINE)
    if listed:
        return [_unquoted(word) for word in listed.group(1).split(",") if word.strip()]
    block = re.search(r"^names[ \t]*:[ \t]*(?:#[^\n]*)?\r?\n((?:[ \t]*(?:-|\d+[ \t]*:)[^\n]*\n?)+)", text, re.MULTILINE)
    if not block:
        raise Rejected("has no list under 'names'")
    names = {}
    for place, line in enumerate(block.group(1).splitlines()):
        found = re.match(r"[ \t]*(?:-|(\d+)[ \t]*:)[ \t]*(.*)", line)
        names[place if found.group(1) is None else int(found.group(1))] = _unquoted(found.group(2))
    if sorted(names) != list(range(len(names))):
        raise Rejected("numbers under 'names' do not count from 0")
    return [names[number] for number in range(len(names))]


def _unquoted(word):
    word = word.strip()
    if word[:1] in "'\"" and word[-1:] == word[:1] and len(word) > 1:
        return word[1:-1]
    return word.split(" #")[0].strip()


def _texts(top):
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = os.path.relpath(folder, top).replace(os.sep, "/")
        for name in files:
            if name.lower().endswith(".txt") and not (within == "." and name.lower() in _NOT_LABELS):
                yield name if within == "." else posixpath.join(within, name)
