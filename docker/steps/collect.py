"""From a reader's entries to accepted pictures: decodes each one, judges its boxes, and counts what was wrong.

The same rules for every format. Pictures are decoded in several processes; results are taken in the entries' order, so
that nothing depends on who was first.
"""

import collections
import concurrent.futures
import concurrent.futures.process
import hashlib
import posixpath

import contract
import pictures
from dataset import Box, Found, Picture, Rejected, clip, printable
from labels import Labels

LONGEST_REASON = 300
"""In characters: a reason quotes the annotation, which may hold a megabyte of label."""

_CHUNK = 32
_FORKED = {}
"""What forked processes work on: inherited, never sent."""

_Opened = collections.namedtuple(
    "_Opened", ["entry", "sha256", "size", "format", "changes", "boxes", "clipped", "notes"]
)


def collect(entries, total, settings, unannotated, progress, processes=1):
    """Found, from ``total`` ``entries``: functions that give a dataset.Entry or raise Rejected with its file.

    ``unannotated(names)`` gives the pictures that none of ``names``, the pictures taken, accounts for.
    """
    labels = Labels(settings)
    most = settings.get("max_pixels", pictures.MAX_PIXELS)
    accepted, rejected, clipped, converted, owners = [], [], [], [], {}
    for done, (opened, reason) in enumerate(_in_order(entries, lambda entry: _open(entry, labels, most), processes), 1):
        progress(done, total)
        entry = opened.entry if reason is None else reason.entry
        if entry is not None:
            owner = owners.setdefault(entry.name, entry.file)
            if owner != entry.file:
                reason = Rejected(
                    "%s is already annotated by %s" % (printable(entry.name), posixpath.basename(owner)), entry.file
                )
        if reason is not None:
            rejected.append({"file": reason.file, "reason": printable(str(reason))[:LONGEST_REASON]})
            continue
        # Noted only now: a rejected picture must not appear as clipped or converted too.
        clipped += [{"file": entry.file, "reason": text} for text in opened.clipped]
        converted += [{"file": entry.image, "reason": text} for text in opened.changes]
        labels.count(opened.notes)
        accepted.append(_picture(opened, most))
    accepted.sort(key=lambda picture: picture.id)
    return Found(accepted, total, rejected, clipped, converted, sorted(unannotated(owners)), labels.counts)


def _in_order(entries, work, processes):
    """(result, None) or (None, Rejected) of ``work`` on each entry, in order, made by ``processes`` processes.

    Processes and not threads: reading an annotation holds Python's lock, and a decoder that a hostile picture crashes
    takes only its own process along. They are forked, so that entries need not be sent to them.
    """

    def one(entry):
        try:
            return work(entry), None
        except Rejected as reason:
            return None, reason

    if processes == 1:
        for entry in entries:
            yield one(entry)
        return
    entries = list(entries)
    _FORKED.update(job=one, entries=entries)
    try:
        with concurrent.futures.ProcessPoolExecutor(processes) as pool:
            for answer in pool.map(_forked, range(len(entries)), chunksize=_CHUNK):
                yield answer
    except concurrent.futures.process.BrokenProcessPool:
        raise contract.Failure(
            "dataset-crash",
            "the decoder crashed on one of the pictures",
            "a damaged or hostile file does that: try the pictures in halves to find it",
        )
    finally:
        _FORKED.clear()


def _forked(number):
    return _FORKED["job"](_FORKED["entries"][number])


def _open(make, labels, most):
    entry = make()
    try:
        data = entry.read()
        try:
            loaded = pictures.load(data, entry.name, most)
        except Rejected as error:
            raise Rejected(str(error), entry.image) from error
        objects, notes = labels.sort(entry.objects)
        boxes, clipped = place(objects, entry, loaded)
    except Rejected as error:
        raise Rejected(str(error), error.file or entry.file, entry) from error
    return _Opened(
        entry, hashlib.sha256(data).hexdigest(), loaded.size, loaded.format, loaded.changes, boxes, clipped, notes
    )


def place(objects, entry, loaded):
    """Boxes on the upright picture ``loaded``, and the reasons of those that were clipped.

    Shares are of the upright picture, as viewers and labelling tools show it, unless the annotation gives the size of
    the picture as it is stored: then its tool did not turn it, and the boxes are turned here.
    """
    size = loaded.size if entry.size is None else entry.size
    if size not in (loaded.size, loaded.stored):
        raise Rejected("annotation is for %gx%g pixels, the picture has %dx%d" % (size + loaded.size))
    boxes, clipped = [], []
    for label, edges, ignored in objects:
        if entry.shares:
            edges = (edges[0] * size[0], edges[1] * size[1], edges[2] * size[0], edges[3] * size[1])
        inside, moved = clip(label, edges, *size)
        # A share that is right by its own digits may miss the edge by a rounding.
        if moved and max(abs(one - other) for one, other in zip(edges, inside)) > (0.01 if entry.shares else 0):
            clipped.append("%s box (%s) to (%s)" % (label, _shown(edges), _shown(inside)))
        if size != loaded.size:
            inside = pictures.upright(inside, loaded.orientation, loaded.stored)
        boxes.append(Box(label, inside[0], inside[1], inside[2], inside[3], ignored))
    return boxes, clipped


def _picture(opened, most):
    entry, sha256, changed = opened.entry, opened.sha256, bool(opened.format == "png" and opened.changes)

    def again():
        # Pictures are read again when written, so that a large set is never in memory as a whole.
        data = entry.read()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise contract.Failure(
                "dataset-changed",
                "%s changed while it was being read" % entry.image,
                "leave the dataset alone during a build, then build again",
            )
        if changed:
            loaded = pictures.load(data, entry.name, most)
            return loaded.encoded, loaded.format
        return data, opened.format

    return Picture(
        printable(posixpath.splitext(entry.name)[0]),
        printable(entry.name),
        sha256,
        opened.size[0],
        opened.size[1],
        opened.boxes,
        again,
    )


def _shown(edges):
    return ", ".join("%g" % edge for edge in edges)
