"""Augmentation of one picture: which window of it is shown, mirrored or not, in which colours.

Every choice comes from the generator given, so a picture is a pure function of (seed, place in the stream).
All geometry is one window, resized once from the decoded original by PIL's antialiased bilinear filter, which
is the filter of evaluation and of the released model's metadata.
"""

import math

import numpy as np
import ssd_crop
from PIL import Image, ImageOps

NAMES = ("horizontal_flip", "random_crop", "random_expand", "ssd_random_crop", "color")

_GREY = (127, 127, 127)
_LUMA = np.array([0.299, 0.587, 0.114])
_CROP_TRIES = 20


def apply(picture, boxes, labels, size, names, random):
    """One training view of ``picture``.

    ``boxes``: float32 [n, 4], ymin xmin ymax xmax as shares; ``size``: (height, width) of the view; ``names``:
    which of NAMES to use; ``random``: a numpy Generator. Returns (uint8 [height, width, 3], boxes, labels), the
    boxes as shares of the view, without those that are left out of it: whose centre lies outside, or, after
    ssd_random_crop, of which the window covers too little. Crops follow no box whose label is negative.
    """
    window = (0.0, 0.0, 1.0, 1.0)
    # One choice for both, so that a third of the pictures is always seen whole, as in evaluation.
    choice = random.random()
    if "random_crop" in names and choice < 0.5:
        window = crop_window(boxes[labels > 0], random)
    elif "random_expand" in names and 0.5 <= choice < 0.7:
        window = expand_window(random)
    stay = centred(boxes, window)
    if "ssd_random_crop" in names:
        window, least = ssd_crop.window((picture.height, picture.width), boxes[labels > 0], random)
        stay = ssd_crop.kept(boxes, window, least)
    view = render(picture, window, size)
    boxes, labels = moved(boxes[stay], window), labels[stay]
    if "horizontal_flip" in names and random.random() < 0.5:
        view = ImageOps.mirror(view)
        boxes = np.stack([boxes[:, 0], 1 - boxes[:, 3], boxes[:, 2], 1 - boxes[:, 1]], axis=1)
    if "color" in names and random.random() < 0.8:
        view = view.convert("RGB", color_matrix(random))
    return np.asarray(view, np.uint8), boxes, labels


def crop_window(boxes, random):
    """A window inside the picture that covers at least a random share of some box; the whole if none is found."""
    least = (0.3, 0.5, 0.7, 0.9, 1.0)[int(random.integers(5))]
    for _ in range(_CROP_TRIES):
        area = random.uniform(0.2, 1.0)
        aspect = math.exp(random.uniform(math.log(0.5), math.log(2.0)))
        height, width = math.sqrt(area / aspect), math.sqrt(area * aspect)
        if height > 1 or width > 1:
            continue
        top, left = random.uniform(0, 1 - height), random.uniform(0, 1 - width)
        window = (top, left, top + height, left + width)
        if len(boxes) == 0 or ssd_crop.covered(boxes, window).max() >= least:
            return window
    return (0.0, 0.0, 1.0, 1.0)


def expand_window(random):
    """A window up to 1.8 times as wide and high as the picture, which lies somewhere in it."""
    scale = random.uniform(1.0, 1.8)
    top, left = -random.uniform(0, scale - 1), -random.uniform(0, scale - 1)
    return (top, left, top + scale, left + scale)


def centred(boxes, window):
    """Which boxes have their centre in the window, bool [n]."""
    top, left, bottom, right = window
    y, x = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    return (y >= top) & (y <= bottom) & (x >= left) & (x <= right)


def moved(boxes, window):
    """The boxes clipped to the window, as shares of it, float32 [n, 4]."""
    top, left, bottom, right = window
    scale = np.array([bottom - top, right - left] * 2)
    return np.clip((boxes - np.array([top, left] * 2)) / scale, 0, 1).astype(np.float32)


def render(picture, window, size):
    """The window of ``picture``, grey where it goes beyond it, as a PIL image of ``size`` (height, width)."""
    height, width = size
    top, left, bottom, right = window
    if top >= 0 and left >= 0 and bottom <= 1 and right <= 1:
        box = (left * picture.width, top * picture.height, right * picture.width, bottom * picture.height)
        return picture.resize((width, height), Image.BILINEAR, box=box)
    # The picture lies inside the window: shrink all of it, and paste it where it belongs.
    inner = (max(1, int(round(width / (right - left)))), max(1, int(round(height / (bottom - top)))))
    view = Image.new("RGB", (width, height), _GREY)
    place = (int(round(-left / (right - left) * width)), int(round(-top / (bottom - top) * height)))
    view.paste(picture.resize(inner, Image.BILINEAR), place)
    return view


def color_matrix(random):
    """Brightness, contrast, saturation and tint as the 12 numbers of PIL's RGB to RGB conversion."""
    brightness = random.uniform(-32, 32)
    contrast = random.uniform(0.7, 1.3)
    saturation = random.uniform(0.5, 1.5)
    tint = random.uniform(0.9, 1.1, size=3)
    matrix = saturation * np.eye(3) + (1 - saturation) * _LUMA[None, :]
    matrix = contrast * tint[:, None] * matrix
    offset = brightness + 127.0 * (1 - contrast)
    return tuple(float(value) for row in matrix for value in list(row) + [offset])
