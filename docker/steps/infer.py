"""Runs the frozen graph and the .tflite, both in TensorFlow 1.15, on every evaluation picture.

Both see the same uint8 pixels: the picture is resized once, here, to the model's size, and those pixels are
kept as PNG for the runtimes that come later. What each makes of them is its own: the graph normalises inside,
the .tflite is fed by the numbers in input.json, so a wrong number there shows as a difference.
"""

import shutil

import contract
import detections
import frozen
import numpy as np
import records
import tflite_run
from PIL import Image
from tf1 import tf

RAW_PICTURES = 16
_LABEL_OFFSET = 1
"""The exporter's frozen graph counts classes from 1."""


def main(request):
    """Writes inputs/<id>.png, frozen.npz, tflite_tf1.npz, runtimes.json and eval.json.

    Where the converted graph rounds to 8 bits itself, float.npz too: the answers of the float graph it came from.
    """
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    spec = contract.read_json(contract.input_path(request, "graph", "input.json"))
    pictures = _pictures(request, spec)
    model = request.params["model"]
    stages = [("frozen", _run_frozen), ("tflite_tf1", _run_tflite)]
    if "float_graph" in request.inputs:
        stages.append(("float", _run_float))
    for stage, run in stages:
        answers = detections.Detections(model["max_detections"], model["nms"]["score_threshold"])
        run(request, spec, pictures, answers)
        answers.save(contract.output_path(request, stage + ".npz"))
    runtime = {"name": "tensorflow", "version": tf.__version__, "numpy": np.__version__}
    contract.write_json(contract.output_path(request, "runtimes.json"), {stage: runtime for stage, _ in stages})
    shutil.copyfile(contract.input_path(request, "data", "eval.json"), contract.output_path(request, "eval.json"))


def _pictures(request, spec):
    """[(image id, uint8 [height, width, 3])] in the order of ids; also written as PNG."""
    _, height, width, _ = spec["shape"]
    found = []
    for record in records.read(contract.input_path(request, "data", "eval.tfrecord")):
        image = records.decode(record.encoded)
        if image.size != (width, height):
            image = image.resize((width, height), Image.BILINEAR)
        image.save(contract.output_path(request, "inputs", "%d.png" % record.identity), "PNG")
        found.append((record.identity, np.asarray(image, np.uint8)))
    known = contract.read_json(contract.input_path(request, "data", "eval.json"))["images"]
    if sorted(identity for identity, _ in found) != sorted(image["id"] for image in known) or not found:
        raise contract.Failure("infer-pictures", "eval.tfrecord and eval.json name different pictures")
    return sorted(found, key=lambda item: item[0])


def _run_frozen(request, spec, pictures, answers):
    _run_graphs(request, "graph", spec, pictures, answers)


def _run_float(request, spec, pictures, answers):
    _run_graphs(request, "float_graph", spec, pictures, answers)


def _run_graphs(request, place, spec, pictures, answers):
    """The frozen graph in the input folder ``place`` on every picture, and the raw heads of the first."""
    names = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
    with _session(request, place, "frozen_inference_graph.pb") as session:
        for number, (identity, pixels) in enumerate(pictures, 1):
            boxes, scores, classes, count = session.run(
                [name + ":0" for name in names], {"image_tensor:0": pixels[None]}
            )
            count = int(count[0])
            answers.add(identity, boxes[0][:count], scores[0][:count], classes[0][:count] - _LABEL_OFFSET)
            _progress("float graph" if place == "float_graph" else "frozen graph", number, len(pictures))
    # The frozen graph has no single tensor with the scores before suppression; the TFLite graph, of the same
    # weights, has: run as a TensorFlow graph it is what the converter was given.
    with _session(request, place, "tflite_graph.pb") as session:
        for identity, pixels in pictures[:RAW_PICTURES]:
            tensor = (pixels.astype(np.float32) - np.float32(spec["mean"])) / np.float32(spec["std"])
            boxes, scores = session.run(
                ["raw_outputs/box_encodings:0", "raw_outputs/class_predictions:0"],
                {spec["name"] + ":0": tensor[None]},
            )
            answers.add_raw(identity, boxes[0], scores[0])


def _run_tflite(request, spec, pictures, answers):
    outputs = contract.read_json(contract.input_path(request, "graph", "outputs.json"))
    taken = contract.read_json(contract.input_path(request, "converted", "input.json"))
    model = tflite_run.Model(contract.input_path(request, "converted", "model.tflite"), taken, outputs)
    for number, (identity, pixels) in enumerate(pictures, 1):
        answers.add(identity, *model.detect(pixels))
        if number <= RAW_PICTURES:
            answers.add_raw(identity, *model.heads())
        _progress(".tflite in TensorFlow", number, len(pictures))


def _session(request, place, name):
    """A session on a frozen graph. The post-processing operator, which only TFLite has, is left out."""
    graph = frozen.read(contract.input_path(request, place, name))
    known = [node for node in graph.node if node.op != tflite_run.POSTPROCESS]
    del graph.node[:]
    graph.node.extend(known)
    with tf.Graph().as_default() as built:
        tf.import_graph_def(graph, name="")
    return tf.compat.v1.Session(graph=built, config=frozen.session_config(request.threads))


def _progress(stage, number, total):
    if number % 20 == 0 or number == total:
        contract.emit("progress", stage=stage, step=number, steps=total)
