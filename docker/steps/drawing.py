"""Draws detections on pictures so that they can be read: boxes, labels, scores, one colour a class."""

import io

import PIL
from PIL import Image, ImageDraw, ImageFont

PALETTE = (
    (255, 82, 64), (38, 166, 255), (255, 193, 7), (46, 204, 113), (200, 100, 255),
    (255, 121, 198), (0, 206, 209), (255, 145, 0), (160, 220, 40), (120, 140, 255),
)  # fmt: skip
"""Bright enough to be seen on photographs, with black or white text readable on each."""

TRUTH = (255, 255, 255)
SIZED_FONT = tuple(int(part) for part in PIL.__version__.split(".")[:2]) >= (10, 1)
PAPER, INK, GAP = (24, 26, 30), (226, 228, 232), 10


def colour_of(label):
    """Colour of the class with index ``label``."""
    return PALETTE[label % len(PALETTE)]


def draw(image, boxes, labels, scores, names):
    """A copy of ``image`` (PIL, RGB) with its detections, best on top.

    boxes [n, 4]: (left, top, right, bottom) in pixels; labels: class indices into ``names``; scores 0 to 1.
    """
    image = image.convert("RGB")
    pen = ImageDraw.Draw(image)
    unit = _unit(image.size)
    font = _font(max(11, 6 * unit))
    order = sorted(range(len(scores)), key=lambda index: (scores[index], -index))
    for index in order:
        pen.rectangle(_inside(boxes[index], image.size), outline=(0, 0, 0), width=unit + 2)
        pen.rectangle(_inside(boxes[index], image.size, 1), outline=colour_of(labels[index]), width=unit)
    # Labels last: a box must not run through the label of another. The best one chooses its place first.
    taken = []
    for index in reversed(order):
        text = _readable("%s %d%%" % (_name(names, labels[index]), round(100 * scores[index])))
        _, _, right, bottom = pen.textbbox((0, 0), text, font=font)
        place = _place(_inside(boxes[index], image.size), right + 2 * unit + 2, bottom + unit + 1, image.size, taken)
        taken.append(place)
        colour = colour_of(labels[index])
        pen.rectangle(place, fill=colour)
        pen.text((place[0] + unit + 1, place[1]), text, fill=_ink_on(colour), font=font)
    return image


def draw_truth(image, boxes):
    """A copy of ``image`` with the annotated ``boxes`` (left, top, right, bottom; pixels) as dashed outlines."""
    image = image.convert("RGB")
    pen = ImageDraw.Draw(image)
    dash = 3 * _unit(image.size)
    for box in boxes:
        left, top, right, bottom = _inside(box, image.size)
        for x in range(left, right + 1, 2 * dash):
            for y in (top, bottom):
                _dash(pen, (x, y, min(x + dash, right), y))
        for y in range(top, bottom + 1, 2 * dash):
            for x in (left, right):
                _dash(pen, (x, y, x, min(y + dash, bottom)))
    return image


def sheet(tiles, title, columns=4, side=320):
    """One picture with all ``tiles`` in a grid: [(image, caption)], each image fitted into side x side.

    Images must already have the size they are to be shown in (see :func:`fitted`), or labels shrink with them.
    """
    font, small, title = _font(17), _font(13), _readable(title)
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns)
    head, foot = 40, 22
    width = max(columns * (side + GAP) + GAP, int(font.getlength(title)) + 2 * GAP + 4)
    paper = Image.new("RGB", (width, head + rows * (side + foot + GAP)), PAPER)
    pen = ImageDraw.Draw(paper)
    pen.text((GAP + 2, head // 2), title, fill=INK, font=font, anchor="lm")
    for index, (image, caption) in enumerate(tiles):
        left, top = GAP + index % columns * (side + GAP), head + index // columns * (side + foot + GAP)
        paper.paste(image, (left + (side - image.width) // 2, top + (side - image.height) // 2))
        pen.text((left + side // 2, top + side + foot // 2), _readable(caption), fill=INK, font=small, anchor="mm")
    return paper


def fitted(image, size, side=320):
    """``image`` scaled to the proportions of ``size`` (width, height), its longer side ``side`` pixels."""
    scale = side / float(max(size))
    return image.resize([max(1, round(length * scale)) for length in size], Image.BICUBIC)


def png(image):
    """``image`` as PNG bytes, the same for the same pixels: no date, no metadata."""
    stream = io.BytesIO()
    Image.frombytes("RGB", image.size, image.convert("RGB").tobytes()).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def _font(size):
    """Pillow's own font; before Pillow 10.1, which the TensorFlow 1 toolchains have, it came in one size."""
    return ImageFont.load_default(size=size) if SIZED_FONT else ImageFont.load_default()


def _readable(text):
    """``text`` with a question mark for what the font of one size does not have: all beyond Latin-1."""
    return text if SIZED_FONT else text.encode("latin-1", "replace").decode("latin-1")


def _unit(size):
    """Line width in pixels for a picture of ``size``: 2 up to 600 pixels, growing with it."""
    return max(2, round(max(size) / 300.0))


def _inside(box, size, inset=0):
    """Whole pixels within the picture, at least one wide and high."""
    left, top, right, bottom = (int(round(float(side))) for side in box)
    left, top = min(max(left, 0), size[0] - 1), min(max(top, 0), size[1] - 1)
    right, bottom = min(max(right, left), size[0] - 1), min(max(bottom, top), size[1] - 1)
    if right - left > 2 * inset and bottom - top > 2 * inset:
        return left + inset, top + inset, right - inset, bottom - inset
    return left, top, right, bottom


def _name(names, label):
    return names[label] if 0 <= label < len(names) else "class %d" % label


def _place(box, width, height, size, taken):
    """Where a label of width x height goes: at the first corner of ``box`` where it covers no label in ``taken``.

    Above the box, else inside its top or bottom edge, else below; always on the picture of ``size``.
    """
    left, right = max(0, min(box[0], size[0] - width)), max(0, min(box[2] - width + 1, size[0] - width))
    rows = [box[1] - height, box[1], box[3] - height + 1, box[3] + 1]
    places = [(x, y, x + width - 1, y + height - 1) for y in rows for x in (left, right) if 0 <= y <= size[1] - height]
    free = [place for place in places if not any(_touch(place, other) for other in taken)]
    return (free or places or [(left, 0, left + width - 1, height - 1)])[0]


def _touch(one, other):
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _ink_on(colour):
    light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 110
    return (0, 0, 0) if light else (255, 255, 255)


def _dash(pen, line):
    """A white stroke with a dark rim, visible on any ground."""
    pen.line(line, fill=(0, 0, 0), width=3)
    pen.line(line, fill=TRUTH, width=1)
