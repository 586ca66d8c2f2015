"""Weights -> frozen inference graph and TFLite graph, by the Object Detection API's own exporters.

Beside the graphs stand ``input.json`` (how to feed the network, asked of the training code) and
``outputs.json`` (how to read its answer). The same weights give the same bytes.
"""

import os
import re
import shutil
import tempfile

import contract
import frozen
import normalisation
import numpy as np
import pipeline
from object_detection import export_tflite_ssd_graph_lib, exporter
from object_detection.builders import graph_rewriter_builder, model_builder
from tf1 import tf

INPUT = "normalized_input_image_tensor"
POSTPROCESS = "TFLite_Detection_PostProcess"
_STAGES = 3

LARGEST_ENCODING = 50.0
"""exp(-50 / 5) of an anchor's height is still far above what float32 loses beside 1."""


def main(request):
    """Writes frozen_inference_graph.pb, tflite_graph.pb, input.json and outputs.json."""
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    model, classes = request.params["model"], request.params["classes"]
    config = pipeline.pipeline_config(model, classes, request.params.get("quantization_aware", False))
    weights = contract.input_path(request, "weights", "model.ckpt")
    if not os.path.exists(weights + ".index"):
        raise contract.Failure("export-weights", "training left no weights (model.ckpt.index)")
    contract.emit("progress", stage="frozen graph", step=1, steps=_STAGES)
    frozen.write(contract.output_path(request, "frozen_inference_graph.pb"), _frozen(config, weights))
    contract.emit("progress", stage="TFLite graph", step=2, steps=_STAGES)
    # The exporter writes its graph with bytes that differ from run to run: it is read back from a scratch folder.
    scratch = tempfile.mkdtemp()
    try:
        tflite = _tflite(config, model, weights, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    frozen.write(contract.output_path(request, "tflite_graph.pb"), tflite)
    contract.emit("progress", stage="input and output", step=3, steps=_STAGES)
    contract.write_json(contract.output_path(request, "input.json"), _describe_input(model, classes))
    contract.write_json(contract.output_path(request, "outputs.json"), _describe_outputs(model, classes, tflite))


def _frozen(config, weights):
    """What ``exporter.export_inference_graph`` writes as frozen graph, without the profile, the second
    checkpoint and the SavedModel that it also makes, which take longer than the graph."""
    with tf.Graph().as_default() as graph:
        detector = model_builder.build(config.model, is_training=False)
        outputs, _ = exporter.build_detection_graph("image_tensor", detector, None, "inference_op", None)
        if config.HasField("graph_rewriter"):
            graph_rewriter_builder.build(config.graph_rewriter, is_training=False)()
        saver = tf.compat.v1.train.Saver()
        return _restoring(
            exporter.freeze_graph_with_def_protos,
            input_graph_def=graph.as_graph_def(),
            input_saver_def=saver.as_saver_def(),
            input_checkpoint=weights,
            output_node_names=",".join(outputs),
            restore_op_name="save/restore_all",
            filename_tensor_name="save/Const:0",
            output_graph="",
            clear_devices=True,
            initializer_nodes="",
        )


def _tflite(config, model, weights, scratch):
    with tf.Graph().as_default():
        _restoring(
            export_tflite_ssd_graph_lib.export_tflite_graph,
            config,
            weights,
            scratch,
            add_postprocessing_op=True,
            max_detections=model["max_detections"],
            # One box, one class: otherwise the answer holds each box once per class and crowds out others.
            max_classes_per_detection=1,
            detections_per_class=model["max_detections"],
            use_regular_nms=model["nms"]["mode"] == "regular",
        )
    graph = frozen.read(os.path.join(scratch, "tflite_graph.pb"))
    if not config.HasField("graph_rewriter"):
        _bound_boxes(graph)
    return graph


def _bound_boxes(graph):
    """Keeps the box encodings within LARGEST_ENCODING, in front of the post-processing operator.

    That operator stops the whole model if one decoded box has no area in float32 (ValidateBoxes, in every runtime).
    Anchors that no object ever matched are free to answer such a box: without this, one picture in many ends in an
    error on the phone. Encodings of real boxes are below 20. In a quantized graph the learnt range is the bound.
    """
    node = [node for node in graph.node if node.op == POSTPROCESS][0]
    for name, op, bound in (("least", "Maximum", -LARGEST_ENCODING), ("most", "Minimum", LARGEST_ENCODING)):
        constant = graph.node.add(op="Const", name="bounded_boxes/%s_value" % name)
        constant.attr["dtype"].type = tf.float32.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.compat.v1.make_tensor_proto(bound, tf.float32))
        bounded = graph.node.add(op=op, name="bounded_boxes/%s" % name, input=[node.input[0], constant.name])
        bounded.attr["T"].type = tf.float32.as_datatype_enum
        node.input[0] = bounded.name
    # The converter wants every node before its users.
    graph.node.add().CopyFrom(node)
    graph.node.remove(node)


def _restoring(export, *arguments, **options):
    try:
        return export(*arguments, **options)
    except (tf.errors.NotFoundError, tf.errors.InvalidArgumentError, tf.errors.DataLossError, ValueError) as error:
        raise contract.Failure(
            "export-weights",
            "the weights do not fit the network: %s" % _reason(str(error)),
            "the weights were trained with another model section; train again",
        )


def _reason(text):
    """The one useful sentence in TensorFlow's account of a failed restore."""
    found = re.search(r"Key \S+ not found in checkpoint|tensor_name = [^\n]*?shape[^\n]*", text)
    return found.group(0) if found else text.strip().splitlines()[0][:300]


def _describe_input(model, classes):
    def preprocess(pixels):
        with tf.Graph().as_default():
            # Pixels of the model's own size, so that the resizer in front changes nothing.
            answer, _ = pipeline.build_model(model, classes, is_training=False).preprocess(tf.constant(pixels))
            with tf.compat.v1.Session(config=frozen.session_config(1)) as session:
                return session.run(answer)

    height, width, channels = model["input_shape"]
    found = normalisation.derive(preprocess, height, width)
    return dict(
        found,
        name=INPUT,
        shape=[1, height, width, channels],
        dtype="float32",
        color="RGB",
        formula="(pixel - mean) / std",
        resize="bilinear-antialias",
    )


def _describe_outputs(model, classes, graph):
    """The four tensors in their order. What the operator was built with is read back from the graph."""
    node = [node for node in graph.node if node.op == POSTPROCESS][0]
    most = int(node.attr["max_detections"].i)
    meanings = (
        ("boxes", [1, most, 4], "corners as shares of the picture's height and width; may lie outside 0 to 1"),
        ("classes", [1, most], "class of each box, counted from 0 in the order of the labels"),
        ("scores", [1, most], "0 to 1, best first"),
        ("count", [1], "how many rows of the other tensors hold a detection; the rest is undefined"),
    )
    tensors = []
    for index, (meaning, shape, text) in enumerate(meanings):
        name = POSTPROCESS + (":%d" % index if index else "")
        tensors.append(
            {"index": index, "name": name, "meaning": meaning, "shape": shape, "dtype": "float32", "description": text}
        )
    return {
        "tensors": tensors,
        "box_format": "ymin xmin ymax xmax, normalised",
        "index_base": 0,
        "classes": len(classes),
        "max_detections": most,
        "nms": {
            "mode": "regular" if node.attr["use_regular_nms"].b else "fast",
            "max_classes_per_detection": int(node.attr["max_classes_per_detection"].i),
            # float32 in the graph: the shortest decimals that give these bits.
            "iou_threshold": float(str(np.float32(node.attr["nms_iou_threshold"].f))),
            "score_threshold": float(str(np.float32(node.attr["nms_score_threshold"].f))),
        },
    }
