"""Pictures of the training part that are held out of training, to watch it by and to choose weights by."""

import batches
import contract
import records as records_module

_HELD_OUT = 2


def split(records, share, seed):
    """(training records, held-out records): a seeded choice of ``share`` of the pictures, at least one in each.

    Failure ``dataset-empty-split`` if there are too few pictures for both.
    """
    count = max(1, int(round(share * len(records))))
    if count >= len(records):
        raise contract.Failure(
            "dataset-empty-split",
            "train.validation holds out %d of %d training pictures: none is left to learn from" % (count, len(records)),
            help="add pictures, or remove train.validation",
        )
    order = batches.generator(seed, _HELD_OUT, 0).permutation(len(records))
    chosen = {int(index) for index in order[:count]}
    kept = [record for index, record in enumerate(records) if index not in chosen]
    return kept, [records[index] for index in sorted(chosen)]


def ground_truth(records, pictures, classes):
    """The COCO ground truth of ``records`` (see ``coco_metrics``). Boxes to be ignored, whose class records do not
    keep, are left out."""
    images, annotations = [], []
    for index, record in enumerate(records):
        width, height = pictures[index].size
        images.append({"id": record.identity, "width": width, "height": height})
        for (top, left, bottom, right), label in zip(record.boxes.tolist(), record.labels.tolist()):
            if label == records_module.IGNORED:
                continue
            box = [left * width, top * height, (right - left) * width, (bottom - top) * height]
            annotations.append({"image_id": record.identity, "category_id": label, "bbox": box})
    if not annotations:
        raise contract.Failure(
            "dataset-empty",
            "the %d pictures that train.validation holds out have no box: nothing can be measured on them"
            % len(images),
            help="hold out a larger share",
        )
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}
