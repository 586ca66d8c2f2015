"""A real .tflite of a few kilobytes, written without TensorFlow, whose answer is known by hand.

Each pixel of the H x W x 3 input is an anchor: the cell it covers. Its red, green and blue values, as
normalised, are the scores of background, class 0 and class 1; the box encodings are zero. So a picture
that is black but for one pure green pixel is answered with that pixel's cell, class 0, score 1.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

INPUT = {
    "shape": [1, 8, 8, 3],
    "dtype": "float32",
    "mean": 127.5,
    "std": 127.5,
    "color": "RGB",
    "range": [-1.0, 1.0],
    "resize": "bilinear-antialias",
}
OP = "TFLite_Detection_PostProcess"


def anchors(height: int, width: int) -> np.ndarray:
    """Cell centres and sizes, [height * width, 4] as (y, x, h, w), normalised."""
    rows, columns = np.mgrid[0:height, 0:width]
    centres = np.stack([(rows.ravel() + 0.5) / height, (columns.ravel() + 0.5) / width], axis=1)
    sizes = np.broadcast_to([1.0 / height, 1.0 / width], centres.shape)
    return np.concatenate([centres, sizes], axis=1).astype(np.float32)


def build(height: int = 8, width: int = 8, detections: int = 4, op: str = OP) -> bytes:
    """The model as bytes; ``op`` is the name of its custom operator."""
    count = height * width
    model = schema.ModelT()
    model.version = 3
    model.description = "tiny"
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []

    def tensor(name: str, shape: list[int], data: np.ndarray | None = None) -> int:
        value = schema.TensorT()
        value.name, value.shape = name, shape
        value.type = schema.TensorType.INT32 if name == "shape" else schema.TensorType.FLOAT32
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(buffer)
            value.buffer = len(model.buffers) - 1
        graph.tensors.append(value)
        return len(graph.tensors) - 1

    pixels = tensor("normalized_input_image_tensor", [1, height, width, 3])
    shape = tensor("shape", [3], np.array([1, count, 3], np.int32))
    scores = tensor("raw_outputs/class_predictions", [1, count, 3])
    boxes = tensor("raw_outputs/box_encodings", [1, count, 4], np.zeros((1, count, 4), np.float32))
    cells = tensor("anchors", [count, 4], anchors(height, width))
    outputs = [
        tensor(OP, [1, detections, 4]),
        tensor(OP + ":1", [1, detections]),
        tensor(OP + ":2", [1, detections]),
        tensor(OP + ":3", [1]),
    ]

    reshape_code, custom_code = schema.OperatorCodeT(), schema.OperatorCodeT()
    reshape_code.builtinCode = reshape_code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    custom_code.builtinCode = custom_code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    custom_code.customCode = op
    model.operatorCodes = [reshape_code, custom_code]
    reshape = schema.OperatorT()
    reshape.opcodeIndex, reshape.inputs, reshape.outputs = 0, [pixels, shape], [scores]
    reshape.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    reshape.builtinOptions = schema.ReshapeOptionsT()
    reshape.builtinOptions.newShape = [1, count, 3]
    custom = schema.OperatorT()
    custom.opcodeIndex, custom.inputs, custom.outputs = 1, [boxes, scores, cells], outputs
    custom.customOptions = np.frombuffer(_options(detections), np.uint8)
    graph.operators = [reshape, custom]
    graph.inputs, graph.outputs = [pixels], outputs
    model.subgraphs = [graph]

    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _options(detections: int) -> bytes:
    writer = flexbuffers.Builder()
    with writer.Map():
        for key, number in {"max_detections": detections, "max_classes_per_detection": 1,
                            "detections_per_class": 100, "num_classes": 2}.items():  # fmt: skip
            writer.Key(key)
            writer.Int(number)
        writer.Key("use_regular_nms")
        writer.Bool(False)
        for key, value in {"nms_score_threshold": 1e-8, "nms_iou_threshold": 0.6, "y_scale": 10.0,
                           "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0}.items():  # fmt: skip
            writer.Key(key)
            writer.Float(value)
    return bytes(writer.Finish())


def picture(row: int, column: int, colour: int = 1, size: int = 8, value: int = 255) -> np.ndarray:
    """A black picture with one cell lit in channel ``colour`` (1: class 0, 2: class 1)."""
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[row, column, colour] = value
    return pixels
