"""Reads a folder of pictures and a CSV file of boxes, a box a row; the header says which of two forms it is.

Open Images: ``ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,...,IsGroupOf``, edges as shares. Plain:
``filename,width,height,class,xmin,ymin,xmax,ymax`` in any order, edges in pixels; width and height may be absent, a row
without a class says that the picture has no objects.
"""

import csv
import math
import os

import collect
import contract
import gallery
import places
from dataset import Entry, Rejected, printable

LONGEST_FIELD = 1 << 16
_OPEN_IMAGES = ("imageid", "labelname", "xmin", "xmax", "ymin", "ymax")
_PLAIN = ("filename", "class", "xmin", "ymin", "xmax", "ymax")
_SYNONYMS = {"image": "filename", "file": "filename", "image_path": "filename", "label": "class", "name": "class"}


def read(source, settings, progress, threads=1):
    """Found, for a manifest's dataset ``settings`` on ``source``; calls ``progress(done, total)``."""
    images = gallery.Gallery(source, settings["images"])
    shares, rows = _rows(source, settings["annotations"])
    names = _descriptions(source, settings["names"]) if settings.get("names") else {}
    order = sorted(rows)

    def entry(key):
        file = "%s:%d" % (printable(settings["annotations"]), rows[key][0][0])

        def make():
            try:
                image = images.find(key) if shares else images.find(None, key)
                size, objects = _open_images(rows[key], names) if shares else _plain(rows[key])
            except Rejected as reason:
                raise Rejected(str(reason), reason.file or file) from reason
            return Entry(file, images.file(image), image, images.reader(image), size, objects, shares)

        return make

    def unannotated(taken):
        return [images.file(name) for name in images.names if name not in taken]

    return collect.collect(map(entry, order), len(order), settings, unannotated, progress, threads)


def _rows(source, setting):
    """Whether edges are shares, and {picture: [(line number, row as dict by lower-case heading)]}."""
    reader = _reader(source, setting, "annotations")
    try:
        header = [_SYNONYMS.get(name, name) for name in (word.strip().lower() for word in next(reader, []))]
        shares = all(name in header for name in _OPEN_IMAGES)
        if not shares and not all(name in header for name in _PLAIN):
            raise contract.Failure(
                "dataset-csv",
                "%s: the header %s is neither Open Images' nor the plain one"
                % (printable(setting), printable(",".join(header))[:200]),
                "the plain header is filename,width,height,class,xmin,ymin,xmax,ymax",
            )
        key, rows = ("imageid" if shares else "filename"), {}
        for row in reader:
            if row:
                # A row that is too short or too long belongs to its picture, which is then rejected.
                fields = (
                    dict(zip(header, row))
                    if len(row) == len(header)
                    else {key: row[min(header.index(key), len(row) - 1)]}
                )
                rows.setdefault(fields[key], []).append((reader.line_num, fields))
        return shares, rows
    except (csv.Error, UnicodeDecodeError) as error:
        raise contract.Failure(
            "dataset-csv", "%s, line %d: %s" % (printable(setting), reader.line_num, error), "UTF-8 and commas"
        )


def _reader(source, setting, key):
    path = os.path.join(source, setting)
    places.inside(path, source, key, setting)
    csv.field_size_limit(LONGEST_FIELD)
    return csv.reader(_lines(path))


def _lines(path):
    with open(path, encoding="utf-8-sig", newline="") as stream:
        for line in stream:
            yield line


def _open_images(rows, names):
    objects = []
    for number, fields in rows:
        edges = tuple(_number(fields, key, number) for key in ("xmin", "ymin", "xmax", "ymax"))
        label = fields.get("labelname", "")
        objects.append((names.get(label, label), edges, fields.get("isgroupof", "").strip() in ("1", "true", "True")))
    return None, objects


def _plain(rows):
    sizes, objects = set(), []
    for number, fields in rows:
        if fields.get("width", "").strip() and fields.get("height", "").strip():
            sizes.add((_number(fields, "width", number), _number(fields, "height", number)))
        if not fields.get("class", "").strip():
            if "class" not in fields:
                raise Rejected("line %d has another number of fields than the header" % number)
            continue
        edges = tuple(_number(fields, key, number) for key in ("xmin", "ymin", "xmax", "ymax"))
        objects.append((fields["class"].strip(), edges, fields.get("difficult", "").strip() == "1"))
    if len(sizes) > 1:
        raise Rejected("its lines give %d different sizes of the picture" % len(sizes))
    return (sizes.pop() if sizes else None), objects


def _number(fields, key, line):
    text = fields.get(key)
    if text is None:
        raise Rejected("line %d has another number of fields than the header" % line)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Rejected("line %d: %s is %r, not a number" % (line, key, text[:40]))
    return value


def _descriptions(source, setting):
    """Open Images' class descriptions: {code: name}."""
    try:
        return {row[0].strip(): row[1].strip() for row in _reader(source, setting, "names") if len(row) >= 2}
    except (csv.Error, UnicodeDecodeError) as error:
        raise contract.Failure("dataset-names", "%s: %s" % (printable(setting), error), "a CSV of code and name")
