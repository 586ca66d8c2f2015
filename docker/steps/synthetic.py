"""Draws pictures of circles, squares and triangles on noise, the same bytes for the same settings.

Every random number is a whole number from numpy's frozen RandomState, seeded by (seed, index), and no
function of the C maths library is used, so that no processor rounds another way.
"""

import hashlib
import io

import contract
import numpy
from dataset import Box, Found, Picture
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle")
SMALLEST, LARGEST = 20, 60
"""Size of a shape in percent of the picture's shorter side."""

_SCALE = 4
_LAYOUTS = 200
_CONTRAST = 130
_LEAST_SIDE = 32
_MOSTLY_COVERED = [0] * 128 + [255] * 128


def read(source, settings, progress, threads=1):
    """Found, for the manifest's dataset ``settings``; calls ``progress(done, total)``. There is no ``source``."""
    drawing, classes = settings["synthetic"], settings["classes"]
    unknown = sorted(set(classes) - set(SHAPES))
    if unknown:
        raise contract.Failure(
            "dataset-unknown-shape",
            "cannot draw %s" % ", ".join(unknown),
            "a synthetic dataset has classes out of %s" % ", ".join(SHAPES),
        )
    if min(drawing["size"]) < _LEAST_SIDE:
        raise contract.Failure(
            "dataset-too-small",
            "cannot draw shapes in %dx%d pixels" % tuple(drawing["size"][::-1]),
            "give dataset.synthetic.size at least %d pixels a side" % _LEAST_SIDE,
        )
    found = []
    for index in range(drawing["images"]):
        found.append(_picture(index, drawing, classes))
        progress(index + 1, drawing["images"])
    boxes = sum(len(picture.boxes) for picture in found)
    counts = {"boxes": boxes, "kept": boxes, "ignored": 0, "renamed": {}, "dropped": {}, "dropped_marked": 0}
    return Found(found, len(found), [], [], [], [], counts)


def _picture(index, drawing, classes):
    image, boxes = draw(index, drawing, classes)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95, subsampling=0)
    data = out.getvalue()
    name = "%06d" % index
    return Picture(
        name,
        name + ".jpg",
        hashlib.sha256(data).hexdigest(),
        image.size[0],
        image.size[1],
        boxes,
        lambda: (data, "jpeg"),
    )


def draw(index, drawing, classes):
    """Picture ``index`` (PIL, RGB) and its Boxes; ``drawing`` has size [height, width], objects and seed."""
    seed = drawing["seed"]
    random = numpy.random.RandomState([seed % 2**32, seed // 2**32 % 2**32, index])
    height, width = drawing["size"]
    ground = random.randint(40, 216) + random.randint(-20, 21, 3)
    pixels = _noise(random, ground, height, width)
    image = Image.fromarray(pixels)
    boxes = []
    for edges in _layout(random, drawing["objects"], height, width):
        label = classes[random.randint(len(classes))]
        mask = _mask(random, label, edges[2] - edges[0])
        image.paste(_colour(random, ground, label), edges[:2], mask)
        left, top, right, bottom = (float(edge) for edge in mask.point(_MOSTLY_COVERED).getbbox())
        x, y = edges[:2]
        boxes.append(Box(label, x + left, y + top, x + right, y + bottom, False))
    return image, boxes


def _noise(random, ground, height, width):
    """Blotches and grain around the colour ``ground``: uint8 [height, width, 3]."""
    coarse = random.randint(0, 61, (max(2, height // 20), max(2, width // 20), 3)).astype(numpy.uint8)
    blotches = numpy.asarray(Image.fromarray(coarse).resize((width, height), Image.BILINEAR))
    grain = numpy.frombuffer(random.bytes(height * width * 3), numpy.uint8).reshape(height, width, 3) % 37
    return (ground.astype(numpy.int16) - 48 + blotches + grain).clip(0, 255).astype(numpy.uint8)


def _layout(random, objects, height, width):
    """Square places (xmin, ymin, xmax, ymax) for a random number of shapes that hardly overlap."""
    count = random.randint(objects[0], objects[1] + 1)
    side = min(height, width)
    for attempt in range(_LAYOUTS):
        # Each attempt draws smaller shapes, so that crowded pictures come to an end too.
        largest = LARGEST - (LARGEST - SMALLEST) * attempt // _LAYOUTS
        taken = []
        for sizes, across, down in random.randint(0, 1 << 16, (count, 3)).tolist():
            size = side * (SMALLEST + (sizes * (largest + 1 - SMALLEST) >> 16)) // 100
            x, y = across * (width - size + 1) >> 16, down * (height - size + 1) >> 16
            taken.append((x, y, x + size, y + size))
        if all(_apart(one, other) for i, one in enumerate(taken) for other in taken[:i]):
            return taken
    raise contract.Failure(
        "dataset-too-crowded",
        "cannot place %d shapes in %dx%d pixels" % (count, width, height),
        "lower dataset.synthetic.objects",
    )


def _apart(one, other):
    """Whether less than a tenth of the smaller box is covered by the other."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return across <= 0 or down <= 0 or 10 * across * down < smaller


def _colour(random, ground, label):
    """A colour far from the greyish ``ground``: reddish, greenish or bluish by shape.

    With the colour as a hint a small network tells the shapes apart in minutes; by outline alone it takes hours.
    """
    while True:
        colour = random.randint(0, 111, 3)
        colour[SHAPES.index(label)] = random.randint(170, 256)
        if ((colour - ground) ** 2).sum() >= _CONTRAST**2:
            return tuple(int(value) for value in colour)


def _mask(random, label, size):
    """The shape as smooth-edged coverage, ``size`` x ``size`` pixels (PIL, L)."""
    mask = Image.new("L", (size * _SCALE, size * _SCALE))
    pen = ImageDraw.Draw(mask)
    last = size * _SCALE - 1
    if label == "circle":
        pen.ellipse([0, 0, last, last], fill=255)
        return mask.reduce(_SCALE)
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)] if label == "square" else [(-1, 1), (1, 1), (0, -1)]
    # Up to 14 degrees either way; (1 - t2, 2t) / (1 + t2) is a point of the circle without sine or cosine.
    t = random.randint(-8, 9) / 64.0
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    turned = [(x * cosine - y * sine, x * sine + y * cosine) for x, y in corners]
    reach = max(abs(value) for point in turned for value in point)
    pen.polygon([(last * (1 + x / reach) / 2, last * (1 + y / reach) / 2) for x, y in turned], fill=255)
    return mask.reduce(_SCALE)
