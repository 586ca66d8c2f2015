"""Ingest for a canary: judges every annotation of a dataset, and makes records of a sample of its pictures.

Leaves the files that ``ingest`` leaves; report.json says under ``sample`` what was looked at and what was not.
"""

import math

import contract
import examples
import ingest
import sampling
import split


def main(request):
    """Surveys, samples, judges and writes the dataset; Failure, after report.json, if it is no good."""
    settings, sample = request.params["dataset"], request.params["sample"]
    source, reader = request.inputs.get("source"), ingest.READERS[settings["format"]]
    if settings["format"] == "synthetic":
        read, total = _drawn(reader, settings, sample, request.threads)
    else:
        read = sampling.read(reader, source, settings, sample, ingest._progress, request.threads)
        total = read.found.total
    found, splits = read.found, [("train", read.train), ("eval", read.eval)]
    boxes = {name: ingest._count(pictures, settings["classes"]) for name, pictures in splits}
    copies = split.copies(found.pictures)
    unopened = total - read.opened - (len(found.rejected) - len(read.spoilt))
    contract.write_json(
        contract.output_path(request, "report.json"),
        {
            "images": total,
            "accepted": len(found.pictures),
            "rejected": found.rejected,
            "clipped": found.clipped,
            "converted": found.converted,
            "unannotated": found.unannotated,
            "in_neither_list": read.left,
            "labels": found.labels,
            "copies": copies,
            "boxes": boxes,
            "sample": {"train": len(read.train), "eval": len(read.eval), "not_opened": unopened, "total": total},
        },
    )
    _tell(found, total, unopened)
    judge(read, splits, boxes, settings)
    contract.write_json(
        contract.output_path(request, "split.json"),
        {name: split.describe(pictures) for name, pictures in splits},
    )
    contract.write_json(contract.output_path(request, "eval.json"), ingest.ground_truth(read.eval, settings["classes"]))
    for name, pictures in splits:
        path = contract.output_path(request, name + ".tfrecord")
        examples.write(path, pictures, settings["classes"], ingest._progress("writing " + name))


def _drawn(reader, settings, sample, threads):
    """(Sample, number of drawings in the whole dataset): of a synthetic dataset the first drawings."""
    drawing, total = settings["synthetic"], settings["synthetic"]["images"]
    most = sample["train"] + sample["eval"]
    fewer = total > most
    if fewer:
        settings = dict(settings, synthetic=dict(drawing, images=most))
        settings["split"] = dict(settings["split"], eval=sample["eval"] / float(most))
    found, train, held_out, left = split.read(reader, None, settings, ingest._progress, threads)
    # Any class is drawn sooner or later: that few drawings lack one says nothing.
    boxes = {half: dict.fromkeys(settings["classes"], 1) for half in split.HALVES} if fewer else None
    return sampling.Sample(found, train, held_out, left, len(found.pictures), [], boxes, []), total


def judge(read, splits, boxes, settings):
    """Failure if the whole dataset would be no good, as far as annotations and the pictures that were opened tell.

    As ``ingest.judge``. That classes are in both halves is judged by all annotations, not by the sample's ``boxes``.
    """
    limit = settings.get("max_rejected", 0.0)
    allowed = len(read.found.rejected) <= limit * read.found.total
    if allowed and len(read.spoilt) > limit * read.opened + 3 * math.sqrt(limit * (1 - limit) * read.opened):
        first = read.spoilt[0]
        raise contract.Failure(
            "dataset-rejected",
            "%d of the %d pictures that were opened rejected, which the share of %g allowed does not explain; "
            "first: %s: %s" % (len(read.spoilt), read.opened, limit, first["file"], first["reason"]),
            "correct or remove the pictures named above, or raise dataset.max_rejected",
        )
    ingest.judge(read.found, splits, boxes if read.boxes is None else read.boxes, settings)
    if read.lone:
        raise contract.Failure(
            "dataset-class-without-box",
            "only one picture has %s: training and evaluation cannot both have it" % ", ".join(read.lone),
            "remove the class, or add pictures of it",
        )


def _tell(found, total, unopened):
    for item in found.rejected[: ingest.SHOWN]:
        contract.emit("message", text="rejected %s: %s" % (item["file"], item["reason"]))
    if len(found.rejected) > ingest.SHOWN:
        more = len(found.rejected) - ingest.SHOWN
        contract.emit("message", text="rejected %d more, all named in report.json" % more)
    contract.emit(
        "message",
        text="sample: %d pictures, annotations of all read, %d rejected; %d pictures not opened"
        % (total, len(found.rejected), unopened),
    )
