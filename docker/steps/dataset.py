"""What every reader of a dataset gives: pictures with their boxes, and what was wrong with the others."""

import collections

Box = collections.namedtuple("Box", ["label", "xmin", "ymin", "xmax", "ymax", "ignored"])
"""A labelled box: edges in pixels of the upright picture, so ``xmax - xmin`` is its width. An ``ignored`` one is
neither learnt nor scored."""

Picture = collections.namedtuple("Picture", ["id", "file_name", "sha256", "width", "height", "boxes", "read"])
"""An accepted picture. ``sha256`` is of the bytes as found; ``read()`` gives the bytes to train on and
their format, ``jpeg`` or ``png``, which decode to upright RGB of ``width`` x ``height`` pixels."""

Entry = collections.namedtuple("Entry", ["file", "image", "name", "read", "size", "objects", "shares"])
"""What a reader knows of one picture before it is opened. ``file``: where its annotation lies, ``image``: where the
picture lies, both for reports; ``name``: the picture's path within its folder; ``read()``: its bytes (it can be sent
to another process); ``size``: (width,
height) as annotated, or None; ``objects``: [(label, (xmin, ymin, xmax, ymax), marked)], in pixels, or if ``shares`` as
shares of width and height; ``marked`` says that the data calls the box difficult, a crowd or a group."""

Found = collections.namedtuple(
    "Found", ["pictures", "total", "rejected", "clipped", "converted", "unannotated", "labels"]
)
"""All that a reader found. ``pictures`` are sorted by id; ``total`` counts the rejected ones too.
``rejected``, ``clipped`` and ``converted`` hold ``{"file": .., "reason": ..}``, ``unannotated`` the files
that were left out; all are paths within the source. ``labels`` counts what became of the accepted pictures' boxes:
see labels.Labels.counts."""


class Rejected(Exception):
    """One picture cannot be used; the text says why. ``file`` is the path at fault where that is known, ``entry`` the
    Entry if the picture was found."""

    def __init__(self, reason, file=None, entry=None):
        super(Rejected, self).__init__(reason, file, entry)  # all of it, or it loses the rest between processes
        self.reason, self.file, self.entry = reason, file, entry

    def __str__(self):
        return self.reason


def printable(name):
    """``name``, a path or a text found in a file, fit for a report: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def clip(label, edges, width, height):
    """The box with ``edges`` (xmin, ymin, xmax, ymax) within a picture of ``width`` x ``height`` pixels.

    Returns the edges and whether they were moved. Labelling tools overshoot an edge by a little, which loses
    nothing; a box that has no area or lies mostly outside belongs to another picture: Rejected.
    """
    xmin, ymin, xmax, ymax = edges
    shown = "%s box (%s)" % (label, ", ".join("%g" % edge for edge in edges))
    if xmax <= xmin or ymax <= ymin:
        raise Rejected("%s has no area" % shown)
    inside = (max(xmin, 0.0), max(ymin, 0.0), min(xmax, float(width)), min(ymax, float(height)))
    across, down = inside[2] - inside[0], inside[3] - inside[1]
    if across <= 0 or down <= 0:
        raise Rejected("%s lies outside the picture of %dx%d" % (shown, width, height))
    if 2 * across * down < (xmax - xmin) * (ymax - ymin):
        raise Rejected("%s lies mostly outside the picture of %dx%d" % (shown, width, height))
    if across < 1 or down < 1:
        raise Rejected("%s has less than a pixel inside the picture of %dx%d" % (shown, width, height))
    return inside, inside != (xmin, ymin, xmax, ymax)
