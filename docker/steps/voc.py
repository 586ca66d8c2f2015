"""Reads a folder of pictures and a folder of Pascal VOC annotations.

An annotation belongs to the picture of the same stem; where there is none, to the one its ``filename`` names.
Coordinates are taken as edges in pixels counted from 0, as the Object Detection API does (VOC itself counts
pixels from 1; half a pixel is below what annotators see).
"""
import hashlib
import os

import annotation
import pictures
import places
from dataset import Box, Found, Picture, Rejected, clip, printable

ENDINGS = (".jpg", ".jpeg", ".png")


def read(source, settings, progress):
    """Found, for the manifest's dataset ``settings`` on the folder ``source``; calls ``progress(done, total)``."""
    reader = _Reader(source, settings)
    names = sorted(name for name in os.listdir(reader.annotations) if name.lower().endswith(".xml"))
    accepted, rejected = [], []
    for done, name in enumerate(names, 1):
        try:
            accepted.append(reader.picture(name))
        except Rejected as reason:
            rejected.append({"file": printable(os.path.join(settings["annotations"], name)), "reason": str(reason)})
        progress(done, len(names))
    accepted.sort(key=lambda picture: picture.id)
    unannotated = sorted(printable(name) for name in reader.names if name not in reader.owners)
    return Found(accepted, len(names), rejected, reader.clipped, reader.converted, unannotated)


class _Reader(object):
    """One pass over the annotations; remembers which picture each one took."""

    def __init__(self, source, settings):
        self.source, self.classes = source, settings["classes"]
        self.images = places.folder(source, settings["images"], "images")
        self.annotations = places.folder(source, settings["annotations"], "annotations")
        self.names = [name for name in os.listdir(self.images) if name.lower().endswith(ENDINGS)]
        self.stems = {}
        for name in sorted(self.names):
            self.stems.setdefault(os.path.splitext(name)[0], []).append(name)
        self.owners, self.clipped, self.converted = {}, [], []

    def picture(self, name):
        """The Picture that the annotation file ``name`` describes; Rejected if it cannot be used."""
        data = places.read(os.path.join(self.annotations, name), self.source, annotation.MAX_BYTES)
        found = annotation.parse(data)
        stem = os.path.splitext(name)[0]
        image = self._image(stem, found.filename)
        owner = self.owners.setdefault(image, name)
        if owner != name:
            raise Rejected("%s is already annotated by %s" % (printable(image), printable(owner)))
        path = os.path.join(self.images, image)
        data = places.read(path, self.source, pictures.MAX_BYTES)
        loaded = pictures.load(data, image)
        boxes, clipped = self._boxes(found, loaded)
        # Noted only now: a rejected picture must not appear as clipped or converted too.
        self.clipped += [{"file": printable(image), "reason": reason} for reason in clipped]
        self.converted += [{"file": printable(image), "reason": reason} for reason in loaded.changes]
        sha256 = hashlib.sha256(data).hexdigest()
        return Picture(printable(stem), printable(image), sha256, loaded.size[0], loaded.size[1], boxes,
                       lambda: self._again(image, sha256))

    def _again(self, image, sha256):
        # Pictures are read again when written, so that a large set is never in memory as a whole.
        data = places.read(os.path.join(self.images, image), self.source, pictures.MAX_BYTES)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise OSError("%s changed while it was being read" % image)
        loaded = pictures.load(data, image)
        return loaded.encoded, loaded.format

    def _image(self, stem, filename):
        if filename is not None and places.leads_out(filename):
            raise Rejected("filename %r leads out of the folder of pictures" % filename)
        candidates = self.stems.get(stem, [])
        if len(candidates) > 1:
            raise Rejected("more than one picture has this name: %s" % ", ".join(map(printable, candidates)))
        if candidates:
            return candidates[0]
        if filename in self.names:
            return filename
        raise Rejected("no picture %s%s" % (printable(stem), "" if filename is None else " or " + filename))

    def _boxes(self, found, loaded):
        """Boxes on the upright picture, and the reasons of those that were clipped."""
        size = loaded.size if found.size is None else found.size
        if size not in (loaded.size, loaded.stored):
            raise Rejected("annotation is for a picture of %gx%g, this one has %dx%d" % (found.size + loaded.size))
        boxes, clipped = [], []
        for label, edges, difficult in found.objects:
            if label not in self.classes:
                raise Rejected("unknown label %r" % label)
            inside, moved = clip(label, edges, *size)
            if moved:
                clipped.append("%s box (%s) to (%s)" % (label, _shown(edges), _shown(inside)))
            if size != loaded.size:
                # Labelled by a tool that ignores EXIF orientation: the boxes turn with the picture.
                inside = pictures.upright(inside, loaded.orientation, loaded.stored)
            boxes.append(Box(label, inside[0], inside[1], inside[2], inside[3], difficult))
        return boxes, clipped


def _shown(edges):
    return ", ".join("%g" % edge for edge in edges)
