"""Reads a folder of pictures and a COCO JSON of all their boxes.

The JSON is streamed and only what is needed of it is kept, as columns of numbers: outlines, captions and the like never
stay in memory. A picture without annotations is one without objects, as in COCO. Source: cocodataset.org, format-data.
"""

import array
import math
import os

import collect
import contract
import gallery
import jsonstream
import numpy
import places
from dataset import Entry, Rejected, printable


def read(source, settings, progress, threads=1):
    """Found, for a manifest's dataset ``settings`` on ``source``; calls ``progress(done, total)``."""
    path = os.path.join(source, settings["annotations"])
    places.inside(path, source, "annotations", settings["annotations"])
    images = gallery.Gallery(source, settings["images"])
    index = Index(path, printable(settings["annotations"]))

    def entry(row):
        def make():
            try:
                name, size, objects = index.picture(row)
                image = images.find(None, name)
            except Rejected as reason:
                raise Rejected(str(reason), reason.file or index.place(row)) from reason
            return Entry(index.place(row), images.file(image), image, images.reader(image), size, objects, False)

        return make

    def unannotated(taken):
        return [images.file(name) for name in images.names if name not in taken]

    if index.orphans:
        contract.emit("message", text="%d boxes are of pictures that %s does not list" % (index.orphans, index.file))
    return collect.collect(map(entry, range(len(index))), len(index), settings, unannotated, progress, threads)


class Index(object):
    """The pictures of the COCO JSON at ``path`` and their boxes. Failure ``dataset-coco`` if it is no such file.

    ``file`` is what reports call it. ``orphans`` counts boxes whose picture is not listed.
    """

    def __init__(self, path, file):
        self.file = file
        self._images, self._names, self._wrong = [], {}, {}
        self._image, self._category, self._crowd = array.array("q"), array.array("q"), bytearray()
        self._edges = array.array("d")
        takers = {"images": self._take_image, "categories": self._take_category, "annotations": self._take_box}
        seen = set()
        try:
            with open(path, "rb") as stream:
                for key, entry in jsonstream.members(stream):
                    seen.add(key)
                    if key in takers and entry is not None:
                        takers[key](entry)
        except (jsonstream.Broken, OSError) as error:
            raise self._failure("cannot be read: %s" % error)
        missing = sorted(set(takers) - seen - {"annotations"})
        if missing:
            raise self._failure("has no list %s" % " and ".join(repr(key) for key in missing))
        self._arrange()

    def __len__(self):
        return len(self._images)

    def place(self, row):
        """Where picture ``row`` stands, for reports."""
        return "%s, image %s" % (self.file, self._images[row][0])

    def picture(self, row):
        """(file name, (width, height) or None, objects as in dataset.Entry) of picture ``row``; or Rejected."""
        identity, name, size = self._images[row]
        if identity in self._wrong:
            raise Rejected(self._wrong[identity])
        if not isinstance(name, str) or not name:
            raise Rejected("image %s has no file_name" % identity)
        objects = []
        for place in self._order[self._starts[row] : self._starts[row + 1]].tolist():
            category = self._category[place]
            if category not in self._names:
                raise Rejected("category %d is not listed" % category)
            x, y, width, height = self._edges[4 * place : 4 * place + 4]
            objects.append((self._names[category], (x, y, x + width, y + height), bool(self._crowd[place])))
        return name, size, objects

    def _take_image(self, entry):
        identity = self._id(entry, "id", "an image")
        width, height = entry.get("width"), entry.get("height")
        size = (float(width), float(height)) if _is_number(width) and _is_number(height) else None
        self._images.append((identity, entry.get("file_name"), size))

    def _take_category(self, entry):
        identity = self._id(entry, "id", "a category")
        if identity in self._names:
            raise self._failure("lists category %d twice" % identity)
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip():
            raise self._failure("category %d has no name" % identity)
        self._names[identity] = name.strip()

    def _take_box(self, entry):
        image = self._id(entry, "image_id", "an annotation")
        box = entry.get("bbox")
        category = entry.get("category_id")
        if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
            self._wrong.setdefault(image, "an annotation has the bbox %.60r, not four numbers" % (box,))
            return
        if not _is_id(category):
            self._wrong.setdefault(image, "an annotation has the category_id %.60r" % (category,))
            return
        self._image.append(image)
        self._category.append(category)
        self._crowd.append(1 if entry.get("iscrowd") in (1, True) else 0)
        self._edges.extend(map(float, box))

    def _id(self, entry, key, what):
        found = entry.get(key) if isinstance(entry, dict) else None
        if not _is_id(found):
            raise self._failure("%s has the %s %.60r, not a whole number" % (what, key, found))
        return found

    def _arrange(self):
        """Sorts pictures by id, and the boxes by their pictures; the first of two pictures with one id is kept."""
        self._images.sort(key=lambda image: image[0])
        identities = numpy.array([image[0] for image in self._images], numpy.int64)
        for first, second in zip(identities, identities[1:]):
            if first == second:
                self._wrong.setdefault(int(first), "image id %d stands twice" % first)
        wanted = numpy.frombuffer(self._image, numpy.int64) if len(self._image) else numpy.zeros(0, numpy.int64)
        rows = numpy.searchsorted(identities, wanted)
        known = rows < len(identities)
        known[known] = identities[rows[known]] == wanted[known]
        self.orphans = int((~known).sum())
        rows[~known] = len(identities)
        self._order = numpy.argsort(rows, kind="stable")
        self._starts = numpy.searchsorted(rows[self._order], numpy.arange(len(identities) + 1))

    def _failure(self, what):
        return contract.Failure(
            "dataset-coco", "%s %s" % (self.file, what), "a COCO JSON has the lists images, annotations and categories"
        )


def _is_id(value):
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62


def _is_number(value):
    # Whole numbers of any length are JSON too: one that no float can hold is none here.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1 << 62 and math.isfinite(value)
