"""Reads a folder of pictures and a folder of Pascal VOC annotations.

An annotation belongs to the picture of the same stem; where there is none, to the one its ``filename`` names.
Coordinates are taken as edges in pixels counted from 0, as the Object Detection API does (VOC itself counts
pixels from 1; half a pixel is below what annotators see).
"""

import hashlib
import os
import posixpath

import annotation
import contract
import pictures
import places
from dataset import Box, Found, Picture, Rejected, clip, printable

ENDINGS = (".jpg", ".jpeg", ".png")
LONGEST_REASON = 300
"""In characters: a reason quotes the annotation, which may hold a megabyte of label."""


def read(source, settings, progress):
    """Found, for a manifest's dataset ``settings`` on ``source``; calls ``progress(done, total)``."""
    reader = _Reader(source, settings)
    names = sorted(name for name in os.listdir(reader.annotations) if name.lower().endswith(".xml"))
    accepted, rejected = [], []
    for done, name in enumerate(names, 1):
        try:
            accepted.append(reader.picture(name))
        except Rejected as reason:
            file = reason.file or reader.annotation_file(name)
            rejected.append({"file": file, "reason": printable(str(reason))[:LONGEST_REASON]})
        progress(done, len(names))
    accepted.sort(key=lambda picture: picture.id)
    unannotated = sorted(reader.image_file(name) for name in reader.names if name not in reader.owners)
    return Found(accepted, len(names), rejected, reader.clipped, reader.converted, unannotated)


class _Reader(object):
    """One pass over the annotations; remembers which picture each one took."""

    def __init__(self, source, settings):
        self.source, self.settings, self.classes = source, settings, settings["classes"]
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
        data, loaded = self._load(image)
        boxes, clipped = self._boxes(found, loaded)
        # Noted only now: a rejected picture must not appear as clipped or converted too.
        self.clipped += [{"file": self.annotation_file(name), "reason": reason} for reason in clipped]
        self.converted += [{"file": self.image_file(image), "reason": reason} for reason in loaded.changes]
        sha256 = hashlib.sha256(data).hexdigest()
        return Picture(
            printable(stem),
            printable(image),
            sha256,
            loaded.size[0],
            loaded.size[1],
            boxes,
            lambda: self._again(image, sha256),
        )

    def annotation_file(self, name):
        return printable(posixpath.join(self.settings["annotations"], name))

    def image_file(self, name):
        return printable(posixpath.join(self.settings["images"], name))

    def _load(self, image):
        """The bytes of the picture ``image`` and its Loaded; Rejected names it, not its annotation."""
        try:
            data = places.read(os.path.join(self.images, image), self.source, pictures.MAX_BYTES)
            return data, pictures.load(data, image)
        except Rejected as error:
            raise Rejected(str(error), self.image_file(image)) from error

    def _again(self, image, sha256):
        # Pictures are read again when written, so that a large set is never in memory as a whole.
        data, loaded = self._load(image)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise contract.Failure(
                "dataset-changed",
                "%s changed while it was being read" % image,
                "leave the dataset alone during a build, then build again",
            )
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
        raise Rejected("no picture %s%s" % (printable(stem), "" if filename is None else " or %s" % filename))

    def _boxes(self, found, loaded):
        """Boxes on the upright picture, and the reasons of those that were clipped."""
        size = loaded.size if found.size is None else found.size
        if size not in (loaded.size, loaded.stored):
            raise Rejected("annotation is for %gx%g pixels, the picture has %dx%d" % (size + loaded.size))
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
