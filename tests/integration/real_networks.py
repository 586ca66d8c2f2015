"""Builds, exports and converts networks with random weights by the steps' own code, and says what they cost.

Run by the tf1.15 toolchain's Python: ``python real_networks.py STEPS SCRATCH < jobs.json``. A job is
``{"model": …, "classes": …, "quantizations": [{"type": …}, …]}``; for each of them one line of standard output is a JSON
object with ``parameters``, ``multiply_adds``, ``anchors`` and ``bytes`` by quantization type.
"""

import io
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, sys.argv[1])

import warnings

warnings.simplefilter("ignore")

import contract
import convert
import export
import numpy as np
import pipeline
import tensorflow as tf
from object_detection.builders import graph_rewriter_builder
from PIL import Image

PRODUCTS = {"Conv2D": (0, 1, 2), "DepthwiseConv2dNative": (0, 1)}
"""Operator -> the axes of its filter whose product is the multiplications of one number of its answer."""


def main(scratch):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    events, sys.stdout = sys.stdout, io.StringIO()  # The steps' events are of no interest here.
    for number, job in enumerate(json.load(sys.stdin)):
        folder = os.path.join(scratch, str(number))
        os.makedirs(folder)
        events.write(json.dumps(cost(job["model"], job["classes"], job["quantizations"], folder)) + "\n")
        events.flush()


def cost(model, classes, quantizations, folder):
    found, graphs = {"bytes": {}}, {}
    write_records(os.path.join(folder, "train.tfrecord"), model["input_shape"])
    for quantization in quantizations:
        aware = quantization["type"] == "uint8-qat"
        if aware not in graphs:
            graphs[aware] = os.path.join(folder, "aware" if aware else "float")
            os.makedirs(graphs[aware])
            parameters, anchors = write_graph(model, classes, aware, graphs[aware])
            if not aware:
                found.update(parameters=parameters, anchors=anchors, multiply_adds=multiply_adds(graphs[aware]))
        output = os.path.join(folder, quantization["type"])
        request = contract.Request(
            "convert", {"quantization": quantization}, {"graph": graphs[aware], "data": folder}, output, 1, ""
        )
        convert.main(request)
        found["bytes"][quantization["type"]] = os.path.getsize(os.path.join(output, "model.tflite"))
    return found


def write_graph(model, classes, aware, folder):
    """Writes what the export step leaves for conversion; returns the number of parameters and of anchors."""
    config = pipeline.pipeline_config(model, classes, aware)
    with tf.Graph().as_default():
        network = pipeline.build_model(model, classes, is_training=False)
        height, width, _ = model["input_shape"]
        answer = network.predict(tf.zeros([1, height, width, 3]), tf.constant([[height, width, 3]]))
        trained = [variable.shape.num_elements() for variable in tf.compat.v1.trainable_variables()]
        if aware:
            graph_rewriter_builder.build(config.graph_rewriter, is_training=False)()
        tf.compat.v1.train.get_or_create_global_step()
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            randomise(session)
            weights = os.path.join(folder, "model.ckpt")
            tf.compat.v1.train.Saver().save(session, weights, write_meta_graph=False, write_state=False)
    with open(os.path.join(folder, "tflite_graph.pb"), "wb") as stream:
        stream.write(export._tflite(config, model, weights, folder).SerializeToString())
    contract.write_json(os.path.join(folder, "input.json"), export._describe_input(model, classes))
    return sum(trained), answer["box_encodings"].shape[1].value


def randomise(session):
    """Gives every variable numbers of its own: a converter may keep equal ones once."""
    generator = np.random.RandomState(1)
    for variable in tf.compat.v1.global_variables():
        if variable.dtype.base_dtype != tf.float32 or variable.op.name.endswith(("/min", "/max")):
            continue
        positive = variable.op.name.endswith(("/gamma", "/moving_variance"))
        numbers = generator.uniform(0.5, 1.5, variable.shape) if positive else generator.normal(0, 0.1, variable.shape)
        variable.load(numbers.astype(np.float32), session)


def write_records(path, shape):
    """A train.tfrecord of two pictures of noise."""
    generator = np.random.RandomState(2)
    with tf.io.TFRecordWriter(path) as writer:
        for number in (1, 2):
            encoded = io.BytesIO()
            Image.fromarray(generator.randint(0, 256, shape).astype(np.uint8)).save(encoded, "PNG")
            example = tf.train.Example()
            example.features.feature["image/encoded"].bytes_list.value.append(encoded.getvalue())
            example.features.feature["image/source_id"].bytes_list.value.append(str(number).encode())
            writer.write(example.SerializeToString())


def multiply_adds(folder):
    """Multiplications of all convolutions in the graph to be converted, for one picture."""
    definition = tf.compat.v1.GraphDef()
    with open(os.path.join(folder, "tflite_graph.pb"), "rb") as stream:
        definition.ParseFromString(stream.read())
    (custom,) = [node for node in definition.node if node.op == export.POSTPROCESS]  # TensorFlow cannot build it.
    definition.node.remove(custom)
    total = 0
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        for operation in graph.get_operations():
            if operation.type in PRODUCTS:
                kernel = operation.inputs[1].shape.as_list()
                each = np.prod([kernel[axis] for axis in PRODUCTS[operation.type]])
                total += int(each * operation.outputs[0].shape.num_elements())
    return total


if __name__ == "__main__":
    main(sys.argv[2])
