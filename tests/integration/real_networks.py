"""Builds, exports and converts networks with random weights by the steps' own code, and says what they cost.

Run by the tf1.15 toolchain's Python with the step code on its path: ``python real_networks.py SCRATCH < jobs.json``.
For each job, ``{"model": …, "classes": [names], "quantizations": [sections]}``, one line of standard output is a JSON
object with ``parameters``, ``multiply_adds``, ``anchors`` and ``bytes``, one for each quantization.
"""

import io
import json
import sys
from pathlib import Path

import contract
import convert
import export
import numpy as np
import pipeline
import tensorflow as tf
from object_detection.builders import graph_rewriter_builder
from PIL import Image

MEAN = 127.5
"""Of the pixels that this network takes, and their deviation."""
PRODUCTS = {"Conv2D": (0, 1, 2), "DepthwiseConv2dNative": (0, 1)}
"""Operator -> the axes of its filter whose product is the multiplications of one number of its answer."""


def main(scratch):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    events, sys.stdout = sys.stdout, io.StringIO()  # The steps' events are of no interest here.
    for number, job in enumerate(json.load(sys.stdin)):
        folder = Path(scratch, str(number))
        folder.mkdir(parents=True)
        events.write(json.dumps(cost(job["model"], job["classes"], job["quantizations"], folder)) + "\n")
        events.flush()


def cost(model, classes, quantizations, folder):
    found, graphs = {"bytes": []}, {}
    write_records(folder / "train.tfrecord", model["input_shape"])
    for number, quantization in enumerate(quantizations):
        aware = quantization["type"] == "uint8-qat"
        if aware not in graphs:
            graphs[aware] = folder / ("aware" if aware else "float")
            graphs[aware].mkdir()
            parameters, anchors = write_graph(model, classes, aware, graphs[aware])
            if not aware:
                found.update(parameters=parameters, anchors=anchors, multiply_adds=multiply_adds(graphs[aware]))
        output = folder / f"converted{number}"
        inputs = {"graph": str(graphs[aware]), "data": str(folder)}
        convert.main(contract.Request("convert", {"quantization": quantization}, inputs, str(output), 1, ""))
        found["bytes"].append((output / "model.tflite").stat().st_size)
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
            weights = str(folder / "model.ckpt")
            tf.compat.v1.train.Saver().save(session, weights, write_meta_graph=False, write_state=False)
    exported = export._tflite(config, model, weights, str(folder))
    (folder / "tflite_graph.pb").write_bytes(exported.SerializeToString())
    spec = {"shape": [1, height, width, 3], "mean": MEAN, "std": MEAN}
    contract.write_json(str(folder / "input.json"), spec)
    return sum(trained), answer["box_encodings"].shape[1].value


def randomise(session):
    """Gives every variable numbers of its own: a converter may keep equal ones once."""
    generator = np.random.RandomState(1)
    given = {}
    for variable in tf.compat.v1.global_variables():
        if variable.dtype.base_dtype != tf.float32 or variable.op.name.endswith(("/min", "/max")):
            continue
        positive = variable.op.name.endswith(("/gamma", "/moving_variance"))
        numbers = generator.uniform(0.5, 1.5, variable.shape) if positive else generator.normal(0, 0.1, variable.shape)
        given[variable.initializer] = (variable.initializer.inputs[1], numbers.astype(np.float32))
    # All at once: TensorFlow optimises the whole graph again for each run of something else.
    session.run(list(given), dict(given.values()))


def write_records(path, shape):
    """A train.tfrecord of two pictures of noise."""
    generator = np.random.RandomState(2)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in (1, 2):
            encoded = io.BytesIO()
            Image.fromarray(generator.randint(0, 256, shape).astype(np.uint8)).save(encoded, "PNG")
            example = tf.train.Example()
            example.features.feature["image/encoded"].bytes_list.value.append(encoded.getvalue())
            example.features.feature["image/source_id"].bytes_list.value.append(str(number).encode())
            writer.write(example.SerializeToString())


def multiply_adds(folder):
    """Multiplications of all convolutions in the graph to be converted, for one picture."""
    definition = tf.compat.v1.GraphDef.FromString((folder / "tflite_graph.pb").read_bytes())
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
    main(sys.argv[1])
