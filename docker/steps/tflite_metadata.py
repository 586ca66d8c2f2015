"""TFLite Model Metadata of a detector: what the task libraries of TensorFlow Lite and MediaPipe are configured by.

Field numbers and enumerations are those of tflite-support's metadata_schema.fbs (file identifier M001). Names of the
output tensors, and which fields must be there, are what both libraries look for.
"""

import collections

import flatbuffers

NAME = "TFLITE_METADATA"
"""Of the entry in the .tflite that holds it."""
IDENTIFIER = b"M001"
PARSER_VERSION = "1.2.0"
"""The first version of the schema that has all that is used here: groups of output tensors came last."""

# Values of enumerations and unions.
_DESCRIPTIONS, _VALUE_LABELS = 1, 3
_RGB = 1
_BOUNDARIES = 1
_FEATURE, _IMAGE, _BOUNDING_BOX = 1, 2, 3
_NORMALIZATION = 1

_Table = collections.namedtuple("_Table", ["fields"])
"""``fields``: number -> value; a value is a str, _Table, _Number, _Numbers, or a list of str or _Table."""
_Number = collections.namedtuple("_Number", ["kind", "value"])
_Numbers = collections.namedtuple("_Numbers", ["kind", "values"])
"""``kind``: the flatbuffers builder's word for the type, such as Float32."""


def build(about, spec, outputs, classes, labels, files):
    """The metadata as bytes.

    ``about``: name, version, description, license and authors. ``spec``: convert's input.json, which is where mean, std
    and range come from; ``outputs``: export's outputs.json. ``classes``: how many. ``labels``: name of the appended
    file with their names, in order; ``files``: name -> description of further appended files.
    """
    written = {
        "boxes": _location(),
        "classes": _category(classes, labels),
        "scores": _score(),
        "count": _count(outputs["max_detections"]),
    }
    tensors = [written[tensor["meaning"]] for tensor in sorted(outputs["tensors"], key=lambda tensor: tensor["index"])]
    group = _Table({0: "detection_result", 1: ["location", "category", "score"]})
    subgraph = _Table({2: [_image(spec)], 3: tensors, 8: [group]})
    model = {
        0: about["name"],
        1: about["description"],
        2: about["version"],
        3: [subgraph],
        5: about["license"],
        6: [_file(name, text, _DESCRIPTIONS) for name, text in sorted(files.items())],
        7: PARSER_VERSION,
    }
    if about["authors"]:
        model[4] = ", ".join(about["authors"])
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, _Table(model)), IDENTIFIER)
    return bytes(builder.Output())


def _image(spec):
    """The input. mean and std are those of the float network for quantized models too; a uint8 input takes the pixels
    themselves, and ``stats`` says so."""
    _, height, width, _ = spec["shape"]
    low, high = (0.0, 255.0) if spec["dtype"] == "uint8" else spec["range"]
    size = _Table({0: _Number("Uint32", width), 1: _Number("Uint32", height)})
    normalisation = _Table({0: _floats(spec["mean"]), 1: _floats(spec["std"])})
    return _Table(
        {
            0: "image",
            1: "The picture, upright, resized to the network's size without keeping its proportions.",
            2: ["batch", "height", "width", "color"],
            3: _content(_IMAGE, _Table({0: _Number("Int8", _RGB), 1: size})),
            4: [_Table({0: _Number("Uint8", _NORMALIZATION), 1: normalisation})],
            5: _stats(low, high),
        }
    )


def _location():
    # The operator answers top, left, bottom, right; BOUNDARIES are left, top, right, bottom, coordinates default to
    # shares of the picture.
    corners = _Table({0: _Numbers("Uint32", [1, 0, 3, 2]), 1: _Number("Int8", _BOUNDARIES)})
    content = _content(_BOUNDING_BOX, corners, 2)
    return _Table({0: "location", 1: "The boxes: top, left, bottom, right as shares of the picture.", 3: content})


def _category(classes, labels):
    return _Table(
        {
            0: "category",
            1: "The class of each box, counted from 0 in the order of the labels.",
            3: _content(_FEATURE, _Table({}), 2),
            5: _stats(0, classes - 1),
            6: [_file(labels, "The names of the classes.", _VALUE_LABELS)],
        }
    )


def _score():
    content = _content(_FEATURE, _Table({}), 2)
    return _Table({0: "score", 1: "The score of each box, best first.", 3: content, 5: _stats(0, 1)})


def _count(most):
    return _Table(
        {
            0: "number of detections",
            1: "How many rows of the other tensors hold a detection.",
            3: _content(_FEATURE, _Table({})),
            5: _stats(0, most),
        }
    )


def _content(kind, properties, dimension=None):
    """``dimension``: the one along which each element is an object of its own."""
    fields = {0: _Number("Uint8", kind), 1: properties}
    if dimension is not None:
        fields[2] = _Table({0: _Number("Int32", dimension), 1: _Number("Int32", dimension)})
    return _Table(fields)


def _file(name, description, kind):
    return _Table({0: name, 1: description, 2: _Number("Int8", kind)})


def _stats(low, high):
    return _Table({0: _floats(high), 1: _floats(low)})


def _floats(*values):
    return _Numbers("Float32", values)


def _write(builder, value):
    """Writes what ``value`` consists of, inside first; returns its offset, as the builder counts."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list):
        return _vector(builder, "UOffsetTRelative", [_write(builder, item) for item in value])
    if isinstance(value, _Numbers):
        return _vector(builder, value.kind, value.values)
    written = [
        (number, field if isinstance(field, _Number) else _Number("UOffsetTRelative", _write(builder, field)))
        for number, field in sorted(value.fields.items())
    ]
    builder.StartObject(max(value.fields, default=-1) + 1)
    for number, field in written:
        getattr(builder, "Prepend%sSlot" % field.kind)(number, field.value, 0)
    return builder.EndObject()


def _vector(builder, kind, values):
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        getattr(builder, "Prepend" + kind)(value)
    return builder.EndVector()
