"""A share of a dataset for a canary: every annotation is read and judged, a bounded number of pictures is opened.

Which ones is decided by their names and a seed, so that they need not be read for it; each class has one if possible.
"""

import collections
import functools
import hashlib
import math
import posixpath

import collect
import split
from dataset import Found, Rejected, clip, printable
from labels import Labels

# A picture as its annotation tells of it. labels: {class: boxes of it that are learnt from}; id and file_name: as in
# dataset.Picture.
Row = collections.namedtuple("Row", ["id", "file_name", "labels", "entry"])

# As dataset.Found, before any picture was opened: of Rows.
Survey = collections.namedtuple("Survey", ["pictures", "total", "rejected", "unannotated", "labels"])

# train, eval: dataset.Picture lists. opened: how many pictures were tried; spoilt: the rejected ones of these, as in
# Found.rejected. boxes: {half: {class: boxes}} by all annotations, None where every picture was opened; lone: classes
# that only one picture has, where pictures are drawn.
Sample = collections.namedtuple("Sample", ["found", "train", "eval", "left", "opened", "spoilt", "boxes", "lone"])

_collect_all = collect.collect


def read(reader, source, settings, sample, progress, threads):
    """A Sample by the ``split`` of ``settings``, of at most ``sample`` {"train", "eval", "seed"} pictures.

    A dataset that is no larger is taken whole, and divided as a build divides it. Failure as for ``split.read``.
    """
    if "train" in settings["split"]:
        return _by_folder(reader, source, settings, sample, progress, threads)
    survey = surveyed(reader, source, settings, progress("annotations"), threads)
    if survey.total <= sample["train"] + sample["eval"]:
        found, train, held_out, left = split.read(reader, source, settings, progress, threads)
        return Sample(found, train, held_out, left, found.total, found.rejected, None, [])
    how, left, lone = settings["split"], 0, []
    if "train_list" in how:
        listed = [split._listed(source, settings, survey, how[half + "_list"]) for half in split.HALVES]
        left = len(survey.pictures) - len({row.entry.name for rows in listed for row in rows})
        boxes = {half: _boxes(rows, settings["classes"]) for half, rows in zip(split.HALVES, listed)}
        chosen = [choose(rows, sample[half], sample["seed"]) for half, rows in zip(split.HALVES, listed)]
    else:
        chosen = [choose(survey.pictures, sample["train"], sample["seed"])]
        taken = {row.entry.name for row in chosen[0]}
        rest = [row for row in survey.pictures if row.entry.name not in taken]
        # A draw by the pictures' bytes, of which most are not read here: that it gives none can be told all the same.
        drawn = int(round(how["eval"] * len(survey.pictures)))
        chosen.append(choose(rest, min(sample["eval"], drawn), sample["seed"]))
        every = _boxes(survey.pictures, settings["classes"])
        boxes = dict.fromkeys(split.HALVES, every)
        pictures = collections.Counter(label for row in survey.pictures for label in row.labels)
        lone = [label for label in settings["classes"] if pictures[label] == 1]
    found, opened, spoilt = _open(survey, chosen[0] + chosen[1], settings, progress("opening"), threads)
    train, held_out = (_of(found.pictures, rows) for rows in chosen)
    if "train_list" in how:
        split.check_apart(train, held_out)
    else:
        known = {picture.sha256 for picture in held_out}
        train = [picture for picture in train if picture.sha256 not in known]
    return Sample(found, train, held_out, left, opened, spoilt, boxes, lone)


def _by_folder(reader, source, settings, sample, progress, threads):
    surveys, opened, boxes = [], [], {}
    halves = iter(split.HALVES)  # in which order split.read reads them

    def some(source, settings, progress, threads):
        half = next(halves)
        survey = surveyed(reader, source, settings, progress, threads)
        surveys.append(survey)
        boxes[half] = _boxes(survey.pictures, settings["classes"])
        rows = choose(survey.pictures, sample[half], sample["seed"])
        found, tried, spoilt = _open(survey, rows, settings, progress, threads)
        opened.append((tried, spoilt))
        return found

    found, train, held_out, left = split.read(some, source, settings, progress, threads)
    # What one half uses is not left out by the other, opened or not.
    used = {row.file_name for survey in surveys for row in survey.pictures}
    names = [set(survey.unannotated) for survey in surveys]
    alone = (names[0] & names[1]) | {name for name in names[0] ^ names[1] if posixpath.basename(name) not in used}
    tried = sum(number for number, _ in opened)
    spoilt = [item for _, rejected in opened for item in rejected]
    return Sample(found._replace(unannotated=sorted(alone)), train, held_out, left, tried, spoilt, boxes, [])


def surveyed(reader, source, settings, progress, threads):
    """The Survey of what a format's ``reader`` reads.

    Every reader ends in ``collect.collect``, in whose place ``survey`` stands meanwhile. Readers that were given their
    collector would be other code, and each training rests on the key of the ingest that runs it.
    """
    collect.collect = survey
    try:
        return reader(source, settings, progress, threads)
    finally:
        collect.collect = _collect_all


def survey(entries, total, settings, unannotated, progress, processes=1):
    """The Survey of ``entries``; arguments as for ``collect.collect``. No picture is opened."""
    labels = Labels(settings)
    rows, rejected, owners = [], [], {}
    checked = collect._in_order(entries, lambda entry: _check(entry, labels), processes)
    for done, (read, reason) in enumerate(checked, 1):
        progress(done, total)
        entry = read[0] if reason is None else reason.entry
        if entry is not None:
            owner = owners.setdefault(entry.name, entry.file)
            if owner != entry.file:
                text = "%s is already annotated by %s" % (printable(entry.name), posixpath.basename(owner))
                reason = Rejected(text, entry.file)
        if reason is not None:
            rejected.append({"file": reason.file, "reason": printable(str(reason))[: collect.LONGEST_REASON]})
            continue
        _, kept, notes = read
        labels.count(notes)
        stem = printable(posixpath.splitext(entry.name)[0])
        rows.append(Row(stem, printable(entry.name), kept, entry))
    rows.sort(key=lambda row: (row.id, row.file_name))
    return Survey(rows, total, rejected, sorted(unannotated(owners)), labels.counts)


def choose(rows, most, seed):
    """At most ``most`` of ``rows``, in their order: one for each class, the rarest first, then pictures with boxes,
    then others, as they are drawn by ``seed`` and name."""
    order = sorted(rows, key=lambda row: (not row.labels, _draw(row, seed), row.entry.name))
    pictures, first, seen, taken = collections.Counter(), {}, set(), set()
    for row in order:
        pictures.update(row.labels.keys())
        for label in row.labels:
            first.setdefault(label, row)
    for label in sorted(first, key=lambda label: (pictures[label], label)):
        if label not in seen and len(taken) < most:
            seen.update(first[label].labels)
            taken.add(first[label].entry.name)
    for row in order:
        if len(taken) >= most:
            break
        taken.add(row.entry.name)
    return [row for row in rows if row.entry.name in taken]


def _draw(row, seed):
    text = "%d:%s" % (seed, row.entry.name)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _check(make, labels):
    """(entry, {class: boxes}, notes for ``labels``) of a picture; Rejected for what its annotation alone gives away."""
    entry = make()
    try:
        objects, notes = labels.sort(entry.objects)
        for label, edges, _ in objects:
            if entry.size is not None:
                clip(label, edges, *entry.size)
            else:
                _check_edges(label, edges, 1.0 if entry.shares else math.inf)
    except Rejected as error:
        raise Rejected(str(error), error.file or entry.file, entry) from error
    kept = collections.Counter(label for label, _, ignored in objects if not ignored)
    return entry, dict(kept), notes


def _check_edges(label, edges, reach):
    """As ``dataset.clip``, for a picture of ``reach`` a side, its size not being known."""
    xmin, ymin, xmax, ymax = edges
    shown = "%s box (%s)" % (label, ", ".join("%g" % edge for edge in edges))
    if xmax <= xmin or ymax <= ymin:
        raise Rejected("%s has no area" % shown)
    across, down = min(xmax, reach) - max(xmin, 0.0), min(ymax, reach) - max(ymin, 0.0)
    if across <= 0 or down <= 0:
        raise Rejected("%s lies outside the picture" % shown)
    if 2 * across * down < (xmax - xmin) * (ymax - ymin):
        raise Rejected("%s lies mostly outside the picture" % shown)


def _open(survey, rows, settings, progress, threads):
    """(Found of the whole with just the pictures of ``rows``, how many were tried, which of them were rejected)."""
    # Records are read by TensorFlow, which does not survive a fork.
    processes = 1 if settings["format"] == "tfrecord" else threads
    entries = [functools.partial(_entry, row.entry) for row in rows]
    opened = _collect_all(entries, len(rows), settings, lambda taken: [], progress, processes)
    found = Found(
        opened.pictures,
        survey.total,
        survey.rejected + opened.rejected,
        opened.clipped,
        opened.converted,
        survey.unannotated,
        survey.labels,
    )
    return found, len(rows), opened.rejected


def _entry(entry):
    return entry


def _of(pictures, rows):
    names = {row.file_name for row in rows}
    return [picture for picture in pictures if picture.file_name in names]


def _boxes(rows, classes):
    counts = collections.Counter()
    for row in rows:
        counts.update(row.labels)
    return {label: counts[label] for label in classes}
