"""Turns a dataset into training and evaluation records, and reports what it dropped, clipped or converted."""

import coco
import contract
import csv_boxes
import examples
import split
import synthetic
import tfrecords
import voc
import yolo

READERS = {
    "voc": voc.read,
    "coco": coco.read,
    "yolo": yolo.read,
    "csv": csv_boxes.read,
    "tfrecord": tfrecords.read,
    "synthetic": synthetic.read,
}

SHOWN = 20
"""How many rejected pictures are named in messages; report.json names all."""


def main(request):
    """Reads, splits, judges and writes the dataset; Failure, after report.json, if it is no good."""
    settings = request.params["dataset"]
    source = request.inputs.get("source")
    reader = READERS[settings["format"]]
    found, train, held_out, left = split.read(reader, source, settings, _progress, request.threads)
    copies = split.copies(found.pictures)
    splits = [("train", train), ("eval", held_out)]
    boxes = {name: _count(pictures, settings["classes"]) for name, pictures in splits}
    contract.write_json(
        contract.output_path(request, "report.json"),
        {
            "images": found.total,
            "accepted": len(found.pictures),
            "rejected": found.rejected,
            "clipped": found.clipped,
            "converted": found.converted,
            "unannotated": found.unannotated,
            "in_neither_list": left,
            "labels": found.labels,
            "copies": copies,
            "boxes": boxes,
        },
    )
    _tell(found, copies)
    judge(found, splits, boxes, settings)
    contract.write_json(
        contract.output_path(request, "split.json"),
        {name: split.describe(pictures) for name, pictures in splits},
    )
    contract.write_json(contract.output_path(request, "eval.json"), ground_truth(held_out, settings["classes"]))
    for name, pictures in splits:
        path = contract.output_path(request, name + ".tfrecord")
        examples.write(path, pictures, settings["classes"], _progress("writing " + name))


def judge(found, splits, boxes, settings):
    """Failure if too much was rejected, a split is empty, or a class has no box in one of them."""
    if not found.total:
        raise contract.Failure(
            "dataset-empty",
            "the dataset has no annotated picture",
            "check dataset.annotations (or records): it names the annotations within the source",
        )
    limit = settings.get("max_rejected", 0.0)
    if len(found.rejected) > limit * found.total:
        first = found.rejected[0]
        raise contract.Failure(
            "dataset-rejected",
            "%d of %d pictures rejected, more than the share of %g allowed; first: %s: %s"
            % (len(found.rejected), found.total, limit, first["file"], first["reason"]),
            "correct or remove the pictures named above, or raise dataset.max_rejected",
        )
    for name, pictures in splits:
        if not pictures:
            raise contract.Failure(
                "dataset-empty-split",
                "no picture is left for %s" % name,
                "add pictures or change dataset.split.eval",
            )
    for name, _ in splits:
        missing = [label for label in settings["classes"] if not boxes[name][label]]
        if missing:
            raise contract.Failure(
                "dataset-class-without-box",
                "%s has no box of %s" % (name, ", ".join(missing)),
                "remove the class, add pictures of it, or change dataset.split",
            )


def ground_truth(pictures, classes):
    """The COCO ground truth of ``pictures``: boxes [x, y, width, height] in pixels, ids from 1."""
    numbers = {label: number for number, label in enumerate(classes, 1)}
    images = [
        {"id": number, "file_name": picture.file_name, "width": picture.width, "height": picture.height}
        for number, picture in enumerate(pictures, 1)
    ]
    annotations = []
    for number, picture in enumerate(pictures, 1):
        for box in picture.boxes:
            width, height = box.xmax - box.xmin, box.ymax - box.ymin
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": numbers[box.label],
                    "bbox": [box.xmin, box.ymin, width, height],
                    "area": width * height,
                    # What is ignored neither counts as missed nor as found wrongly.
                    "iscrowd": int(box.ignored),
                }
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": numbers[label], "name": label} for label in classes],
    }


def _count(pictures, classes):
    labels = [box.label for picture in pictures for box in picture.boxes if not box.ignored]
    return {label: labels.count(label) for label in classes}


def _progress(stage):
    """Sends about twenty events a stage: enough to see it move, few enough to keep a log readable."""

    def report(done, total):
        if done == total or done % max(1, total // 20) == 0:
            contract.emit("progress", stage=stage, step=done, steps=total)

    return report


def _tell(found, copies):
    for item in found.rejected[:SHOWN]:
        contract.emit("message", text="rejected %s: %s" % (item["file"], item["reason"]))
    if len(found.rejected) > SHOWN:
        more = len(found.rejected) - SHOWN
        contract.emit("message", text="rejected %d more, all named in report.json" % more)
    if found.unannotated:
        contract.emit(
            "message",
            text="left out %d pictures with no annotation, among them %s"
            % (len(found.unannotated), found.unannotated[0]),
        )
    if copies:
        contract.emit(
            "message",
            text="%d groups of identical pictures, among them %s" % (len(copies), " = ".join(copies[0])),
        )
    if found.labels["dropped"] or found.labels["renamed"] or found.labels["ignored"]:
        told = found.labels
        contract.emit(
            "message",
            text="%d boxes: %d kept (%d renamed), %d ignored, %d dropped"
            % (
                told["boxes"],
                told["kept"],
                sum(told["renamed"].values()),
                told["ignored"],
                sum(told["dropped"].values()) + told["dropped_marked"],
            ),
        )
    contract.emit(
        "message",
        text="%d pictures: %d accepted, %d rejected, %d boxes clipped, %d converted"
        % (found.total, len(found.pictures), len(found.rejected), len(found.clipped), len(found.converted)),
    )
