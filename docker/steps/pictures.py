"""Decodes pictures nobody vouches for, and turns each into something every later reader sees the same way.

A JPEG or PNG that is already upright 8-bit RGB keeps its bytes. Anything else (EXIF orientation, grey, CMYK,
palette, transparency, 16 bits) is decoded here once and stored as PNG, because the readers that come later
(TensorFlow, Pillow) disagree on these.
"""

import collections
import io
import warnings

import numpy
from dataset import Rejected
from PIL import Image, ImageOps

FORMATS = ["JPEG", "PNG"]
MAX_BYTES = 64 << 20
MAX_PIXELS = 50 * 1000 * 1000
Image.MAX_IMAGE_PIXELS = None  # Pillow would warn or raise by a limit of its own; ours is asked before decoding.

Loaded = collections.namedtuple("Loaded", ["encoded", "format", "size", "stored", "orientation", "changes"])
"""``encoded`` bytes in ``format`` (jpeg, png); upright ``size`` and ``stored`` size before EXIF orientation,
both (width, height) in pixels; ``changes`` says in words what was converted, empty if nothing was."""

_ENDINGS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}
_WORDS = {
    "L": "greyscale",
    "1": "black and white",
    "CMYK": "CMYK",
    "P": "palette",
    "RGBA": "transparency",
    "LA": "greyscale with transparency",
    "I": "16-bit greyscale",
    "I;16": "16-bit greyscale",
    "I;16B": "16-bit greyscale",
}


# Pillow warns of odd EXIF blocks and of large pictures; both are judged here. Once, since threads share the filters.
warnings.filterwarnings("ignore", module=r"PIL\.")


def load(data, name, most_pixels=MAX_PIXELS):
    """The picture in ``data``, the file called ``name``, as a Loaded; Rejected if it cannot be used.

    One of more than ``most_pixels`` is never decoded.
    """
    if len(data) > MAX_BYTES:
        raise Rejected("file of %d bytes is larger than %d" % (len(data), MAX_BYTES))
    try:
        return _load(data, name, most_pixels)
    except Rejected:
        raise
    except Exception as error:
        # A hostile file can fail in any part of a decoder: whatever was raised, it is this file's fault.
        raise Rejected("cannot be decoded: %s" % _reason(error)) from error


def _reason(error):
    if isinstance(error, Image.UnidentifiedImageError):
        return "neither JPEG nor PNG"
    return str(error) or type(error).__name__


def _load(data, name, most_pixels):
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.size[0] * image.size[1] > most_pixels:
        raise Rejected("%dx%d pixels are more than the limit of %d" % (image.size + (most_pixels,)))
    kind = "PNG" if image.format == "PNG" else "JPEG"
    if kind == "PNG":
        # Decoding skips checksums that TensorFlow insists on.
        image.verify()
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    orientation, stored = _orientation(image), image.size
    kept = image.mode == "RGB" and orientation == 1 and "transparency" not in image.info
    if kept and kind == "JPEG":
        # The pixels are not needed, only that they can be decoded: at an eighth of the size every byte is still read.
        image.draft("RGB", (1, 1))
    image.load()
    if kind == "JPEG" and not _has_end(data):
        raise Rejected("cannot be decoded: JPEG is truncated, its end marker is missing")
    changes = []
    ending = name.rsplit(".", 1)[-1].lower()
    if _ENDINGS.get(ending, kind) != kind:
        changes.append("%s content in a .%s file" % (kind, ending))
    if kept:
        return Loaded(data, kind.lower(), stored, stored, 1, changes)
    if orientation != 1:
        changes.append("EXIF orientation %d to upright" % orientation)
        image = ImageOps.exif_transpose(image)
    if image.mode != "RGB":
        changes.append("%s to RGB" % _WORDS.get(image.mode, image.mode))
    elif "transparency" in image.info:
        changes.append("transparency to RGB")
    image = _rgb(image)
    out = io.BytesIO()
    image.save(out, "PNG")
    return Loaded(out.getvalue(), "png", image.size, stored, orientation, changes)


def _has_end(data):
    """Whether the JPEG ``data`` has its end marker, which Pillow does not ask for once it has every row.

    It is looked for behind the first scan only: a thumbnail in the header has an end marker of its own.
    """
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] != b"\xda":
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return data.rfind(b"\xff\xd9") >= place


def _orientation(image):
    """EXIF orientation 1..8; 1 where there is none or it cannot be read."""
    if image.format == "JPEG" and "exif" not in image.info and "xmp" not in image.info:
        return 1  # most pictures: looking takes as long as a tenth of decoding
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # The EXIF block is a small TIFF file of its own and is as untrusted as the picture.
        return 1
    return value if value in range(1, 9) else 1


def _rgb(image):
    """``image`` as RGB with nothing else attached; what is transparent becomes white, as in a viewer."""
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16-bit values at 255 instead of scaling them.
        grey = (numpy.asarray(image).astype(numpy.int64).clip(0, 65535) >> 8).astype(numpy.uint8)
        image = Image.fromarray(grey)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    image = image.convert("RGB")
    image.info.clear()
    return image


def upright(edges, orientation, stored):
    """Box ``edges`` given on the ``stored`` (width, height) pixels, on the upright picture."""
    width, height = stored
    turn = {
        1: lambda x, y: (x, y),
        2: lambda x, y: (width - x, y),
        3: lambda x, y: (width - x, height - y),
        4: lambda x, y: (x, height - y),
        5: lambda x, y: (y, x),
        6: lambda x, y: (height - y, x),
        7: lambda x, y: (height - y, width - x),
        8: lambda x, y: (y, width - x),
    }[orientation]
    (xa, ya), (xb, yb) = turn(*edges[:2]), turn(*edges[2:])
    return (min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
