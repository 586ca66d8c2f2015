"""The looks at a training as one picture: the same pictures again and again, and what was found in them."""

import drawing

SIDE, ROWS = 200, 12
_LEAST_SCORE = 0.2


def sheet(held, looks, classes):
    """A PIL image with a row for each of ``looks`` (see ``watch``), detections over dashed annotations.

    Of many looks it has ROWS, evenly apart, the last among them.
    """
    count = len(looks)
    looks = looks if count <= ROWS else [looks[(row + 1) * count // ROWS - 1] for row in range(ROWS)]
    images = {image["id"]: image for image in held.truth["images"]}
    shown = looks[0].shown if looks else []
    tiles = []
    for look in looks:
        for place, found in enumerate(look.shown):
            image = images[held.records[place].identity]
            tiles.append((_tile(held, place, image, found, classes), _caption(look, place)))
    title = "%s at the training, on %s; dashed: annotated" % ("%d looks" % count if count > 1 else "a look", held.named)
    return drawing.sheet(tiles, title, columns=len(shown) or 1, side=SIDE)


def _caption(look, place):
    return "step %d, mAP %.3f, mAP@0.5 %.3f" % (look.step, look.map, look.map50) if place == 0 else ""


def _tile(held, place, image, found, classes):
    size = image["width"], image["height"]
    picture = drawing.fitted(held.pictures[place], size, SIDE)
    width, height = picture.size
    scale = width / float(size[0])
    annotated = [row["bbox"] for row in held.truth["annotations"] if row["image_id"] == image["id"]]
    picture = drawing.draw_truth(
        picture, [(x * scale, y * scale, (x + w) * scale, (y + h) * scale) for x, y, w, h in annotated]
    )
    kept = [row for row in found if row[1] >= _LEAST_SCORE] or found[:1]
    corners = [(box[1] * width, box[0] * height, box[3] * width, box[2] * height) for box, _, _ in kept]
    labels, scores = [row[2] for row in kept], [row[1] for row in kept]
    return drawing.draw(picture.convert("RGB"), corners, labels, scores, classes)
