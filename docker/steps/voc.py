"""Reads a folder of pictures and a folder of Pascal VOC annotations.

An annotation belongs to the picture of the same stem; where there is none, to the one its ``filename`` names.
Coordinates are taken as edges in pixels counted from 0, as the Object Detection API does (VOC itself counts
pixels from 1; half a pixel is below what annotators see).
"""

import os
import posixpath

import annotation
import collect
import gallery
import places
from dataset import Entry, Rejected, printable


def read(source, settings, progress, threads=1):
    """Found, for a manifest's dataset ``settings`` on ``source``; calls ``progress(done, total)``."""
    folder = places.folder(source, settings["annotations"], "annotations")
    images = gallery.Gallery(source, settings["images"])
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(".xml"))

    def entry(name):
        file = printable(posixpath.join(settings["annotations"], name))

        def make():
            try:
                found = annotation.parse(places.read(os.path.join(folder, name), source, annotation.MAX_BYTES))
                image = images.find(os.path.splitext(name)[0], found.filename)
            except Rejected as reason:
                raise Rejected(str(reason), reason.file or file) from reason
            return Entry(file, images.file(image), image, images.reader(image), found.size, found.objects, False)

        return make

    def unannotated(taken):
        return [images.file(name) for name in images.names if name not in taken]

    return collect.collect(map(entry, names), len(names), settings, unannotated, progress, threads)
