"""TFLite graph -> model.tflite in the numbers asked for, by TensorFlow's own converter, with the same bytes every time.

Beside it stands input.json: how to feed this very file, read back from it.
"""

import os
import sys

# The converter starts a program of its own, toco_from_protos, which it looks for on PATH.
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")

import calibration
import contract
import flatbuffer
import flexbuffer
import frozen
import numpy as np
import tflite_order
from tf1 import lite, tf

try:
    from tensorflow_core.lite.python.convert import ConverterError
except ImportError:  # 1.12 raises plain RuntimeErrors
    ConverterError = RuntimeError

INPUT = "normalized_input_image_tensor"
POSTPROCESS = "TFLite_Detection_PostProcess"
_UNORDERED = ("float16", "dynamic")
"""Types of quantization that leave the converter in another order in every process."""


def main(request):
    """Writes model.tflite and input.json."""
    spec = contract.read_json(contract.input_path(request, "graph", "input.json"))
    contract.emit("progress", stage="converting", step=1, steps=2)
    model = _convert(request, spec)
    contract.emit("progress", stage="checking", step=2, steps=2)
    model = canonical(model, request.params["quantization"]["type"])
    taken = _input_of(model, spec)
    with open(contract.output_path(request, "model.tflite"), "wb") as stream:
        stream.write(model)
    contract.write_json(contract.output_path(request, "input.json"), taken)


def canonical(model, quantization):
    """``model`` (a .tflite, bytes; ``quantization``: its type) in the one form that depends only on what it computes.

    The converter keeps in hash tables with a random seed the options of custom operators and, where it shrinks weights
    itself, what it adds to unpack them. The other types come from it in one order and keep it.
    """
    data = bytearray(model)
    try:
        for operator in flatbuffer.custom_operators(model):
            if operator.options:
                start, length = operator.options
                data[start : start + length] = flexbuffer.canonical(bytes(data[start : start + length]))
        return tflite_order.ordered(bytes(data)) if quantization in _UNORDERED else bytes(data)
    except ValueError as error:
        raise contract.Failure("convert-order", "cannot bring the model into its canonical order: %s" % error)


def _convert(request, spec):
    quantization = request.params["quantization"]
    outputs = [POSTPROCESS] + [POSTPROCESS + ":%d" % index for index in (1, 2, 3)]
    graph = contract.input_path(request, "graph", "tflite_graph.pb")
    if quantization["type"] == "int8":
        graph = _without_bounds(graph, contract.output_path(request, contract.SCRATCH, "graph.pb"))
    try:
        # In 1.15 the version-1 converter is not the default one.
        converters = getattr(tf.compat.v1, "lite", lite)
        converter = converters.TFLiteConverter.from_frozen_graph(graph, [INPUT], outputs, {INPUT: spec["shape"]})
        converter.allow_custom_ops = True
        _PREPARE[quantization["type"]](converter, request, spec)
        return converter.convert()
    except (ConverterError, ValueError, RuntimeError, IOError) as error:
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        raise contract.Failure("convert-failed", "the converter stopped: %s" % (lines[-1] if lines else error)[:300])


def _without_bounds(path, target):
    """The graph at ``path`` without export's bounds on the boxes, written to ``target``, which is returned.

    The converter leaves one input of these operators float when it quantizes the other. The calibrated range of an
    int8 tensor is a bound itself.
    """
    graph = frozen.read(path)
    for node in graph.node:
        if node.op == POSTPROCESS:
            bounds = {item.name: item.input[0] for item in graph.node if item.name.startswith("bounded_boxes/")
                      and item.input}  # fmt: skip
            while node.input[0] in bounds:
                node.input[0] = bounds[node.input[0]]
    frozen.write(target, graph)
    return target


def _float32(converter, request, spec):
    pass


def _dynamic(converter, request, spec):
    if hasattr(lite, "Optimize"):
        converter.optimizations = [lite.Optimize.DEFAULT]
    else:
        converter.post_training_quantize = True


def _float16(converter, request, spec):
    converter.optimizations = [lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _int8(converter, request, spec):
    section = request.params["quantization"]
    path = contract.input_path(request, "data", "train.tfrecord")
    beyond = 0.0 if section["interface"] == "uint8" else calibration.BEYOND

    def samples():
        count, seed = section["calibration_images"], section["calibration_seed"]
        for tensor in calibration.pictures(path, count, seed, spec, beyond):
            yield [tensor]

    converter.optimizations = [lite.Optimize.DEFAULT]
    converter.representative_dataset = lite.RepresentativeDataset(samples)
    if section["interface"] == "uint8":
        converter.inference_input_type = tf.uint8


def _uint8_qat(converter, request, spec):
    converter.inference_type = lite.constants.QUANTIZED_UINT8
    # The converter's mean and std are those of the training: value = (pixel - mean) / std.
    converter.quantized_input_stats = {INPUT: (spec["mean"], spec["std"])}


_PREPARE = {
    "float32": _float32,
    "float16": _float16,
    "dynamic": _dynamic,
    "int8": _int8,
    "uint8-qat": _uint8_qat,
}


def _input_of(model, spec):
    """``spec`` as ``model`` really takes it. Failure if the file does not load, or wants something else.

    The converter can end well with a file that does not load: so it is loaded here.
    """
    try:
        interpreter = lite.Interpreter(model_content=model)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise contract.Failure("convert-failed", "the converted model does not load: %s" % error)
    outputs = len(interpreter.get_output_details())
    if outputs != 4:
        raise contract.Failure("convert-failed", "the converted model has %d outputs, not 4" % outputs)
    (entry,) = interpreter.get_input_details()
    dtype = np.dtype(entry["dtype"]).name
    if dtype == "float32":
        return dict(spec, dtype=dtype)
    scale, zero_point = entry["quantization"]
    taken = dict(spec, dtype=dtype, scale=float(str(np.float32(scale))), zero_point=int(zero_point))
    taken["formula"] = "pixels as they are; the model takes them for (pixel - zero_point) * scale"
    levels = np.arange(256)
    gap = np.abs((levels - zero_point) * scale - (levels - spec["mean"]) / spec["std"]).max()
    if dtype != "uint8" or gap > 1.01 * scale:
        raise contract.Failure(
            "convert-input",
            "the converted model takes %s with a scale of %g and a zero point of %d, which is not how it was trained"
            % (dtype, scale, zero_point),
        )
    return taken
