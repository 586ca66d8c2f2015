"""Pascal VOC annotation text -> Annotation.

The XML is untrusted: no document type, no entities, bounded size and depth.
"""

import collections
import math
from xml.etree import ElementTree
from xml.parsers import expat

from dataset import Rejected

MAX_BYTES = 1 << 20
MAX_DEPTH = 16

Annotation = collections.namedtuple("Annotation", ["filename", "size", "objects"])
"""``filename`` and ``size`` (width, height) as written, None where absent; ``objects`` hold (label, edges,
difficult) with edges (xmin, ymin, xmax, ymax) in pixels, not yet checked against the picture."""


def parse(data):
    """The annotation in ``data`` (bytes); Rejected, with the reason, if it is not one."""
    root = _tree(data)
    if root.tag != "annotation":
        raise Rejected("XML is not a Pascal VOC annotation: its root is <%s>" % root.tag[:40])
    size = None
    if root.find("size") is not None:
        size = tuple(_number(root.find("size"), key) for key in ("width", "height"))
    return Annotation(_text(root, "filename"), size, [_object(element) for element in root.findall("object")])


def _tree(data):
    if len(data) > MAX_BYTES:
        raise Rejected("XML of more than %d bytes" % MAX_BYTES)
    builder = ElementTree.TreeBuilder()
    depth = [0]

    def start(tag, attributes):
        depth[0] += 1
        if depth[0] > MAX_DEPTH:
            raise Rejected("XML is nested more than %d deep" % MAX_DEPTH)
        builder.start(tag, attributes)

    def end(tag):
        depth[0] -= 1
        builder.end(tag)

    def refuse(*_):
        raise Rejected("XML has a document type or entity declaration, which is not accepted")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        raise Rejected("broken XML: %s" % error) from error


def _object(element):
    label = _text(element, "name")
    if label is None:
        raise Rejected("an object has no <name>")
    box = element.find("bndbox")
    if box is None:
        raise Rejected("%s object has no <bndbox>" % label)
    edges = tuple(_number(box, key) for key in ("xmin", "ymin", "xmax", "ymax"))
    return label, edges, _text(element, "difficult") == "1"


def _text(element, key):
    return (element.findtext(key) or "").strip() or None


def _number(element, key):
    text = _text(element, key)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        written = "missing" if text is None else "%r, not a number" % text
        raise Rejected("<%s> in <%s> is %s" % (key, element.tag, written))
    return value
