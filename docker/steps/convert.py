"""TFLite graph -> model.tflite, by TensorFlow 1.15's own converter, with the same bytes every time."""

import os
import sys

# The converter starts a program of its own, toco_from_protos, which it looks for on PATH.
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")

import contract
import flatbuffer
import flexbuffer
import tensorflow as tf
from tensorflow_core.lite.python.convert import ConverterError

INPUT = "normalized_input_image_tensor"
POSTPROCESS = "TFLite_Detection_PostProcess"


def main(request):
    """Writes model.tflite."""
    quantization = request.params["quantization"]
    if quantization != "float32":
        raise contract.Failure("convert-quantization", "cannot convert to %r" % (quantization,), "use float32")
    contract.emit("progress", stage="converting", step=1, steps=2)
    model = _convert(contract.input_path(request, "graph", "tflite_graph.pb"), request.params["model"])
    contract.emit("progress", stage="checking", step=2, steps=2)
    model = canonical(model)
    _check(model)
    with open(contract.output_path(request, "model.tflite"), "wb") as stream:
        stream.write(model)


def canonical(model):
    """``model`` (a .tflite, bytes) with the options of its custom operators in their canonical layout."""
    data = bytearray(model)
    try:
        for operator in flatbuffer.custom_operators(model):
            if operator.options:
                start, length = operator.options
                data[start : start + length] = flexbuffer.canonical(bytes(data[start : start + length]))
    except ValueError as error:
        raise contract.Failure("convert-options", "cannot bring the model's options into order: %s" % error)
    return bytes(data)


def _convert(graph, model):
    height, width, channels = model["input_shape"]
    outputs = [POSTPROCESS] + [POSTPROCESS + ":%d" % index for index in (1, 2, 3)]
    try:
        converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(
            graph, [INPUT], outputs, {INPUT: [1, height, width, channels]}
        )
        converter.allow_custom_ops = True
        return converter.convert()
    except (ConverterError, ValueError, IOError) as error:
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        raise contract.Failure("convert-failed", "the converter stopped: %s" % (lines[-1] if lines else error)[:300])


def _check(model):
    """The converter can end well with a file that does not load: load it."""
    try:
        interpreter = tf.lite.Interpreter(model_content=model)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise contract.Failure("convert-failed", "the converted model does not load: %s" % error)
    outputs = len(interpreter.get_output_details())
    if outputs != 4:
        raise contract.Failure("convert-failed", "the converted model has %d outputs, not 4" % outputs)
