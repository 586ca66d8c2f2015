"""A short training of a small network, as digests of everything on its way from pictures to detections.

Run by the tf1.15 toolchain's Python with the step code on its path: first ``python cpu_checks.py describe FOLDER
CPU_CLASS OPTIMIZER``, which builds the training graph and writes it into FOLDER; then ``python cpu_checks.py train
FOLDER CPU_CLASS THREADS [detections]``, on any processor: an emulated one takes minutes to build a graph and seconds to
read one. The last line of standard output is a JSON object of SHA-256 by part. Two processors whose lines are the same
gave the same bits.
"""

import hashlib
import io
import json
import os
import sys

import batches
import batchnorm
import kernels
import numpy as np
import records
import schedule
import targets
from PIL import Image, ImageDraw
from tf1 import tf

# Small pictures, as emulated processors are slow; the network is as deep as any.
SIZE = (40, 72)
BATCH, STEPS = 2, 3
CLASSES = ["a", "b"]
AUGMENTATION = ("horizontal_flip", "random_crop", "random_expand", "color")
RATE = {"schedule": "cosine", "base": 0.003, "warmup_steps": 1}
OPTIMIZERS = {
    "adam": {"type": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "rmsprop": {"type": "rmsprop", "decay": 0.9, "momentum": 0.9, "epsilon": 1.0},
    "momentum": {"type": "momentum", "momentum": 0.9},
}
_FOCAL = {"type": "focal", "alpha": 0.5, "gamma": 2.0, "localization_weight": 0.3}
_MINED = {"type": "mined", "negatives_per_positive": 3, "least_negatives": 3, "localization_weight": 1.0}
LOSSES = {"adam": _FOCAL, "rmsprop": _MINED, "momentum": _FOCAL}
EMA = 0.9
# Enough for a vector of TensorFlow's, whose roots of these numbers are rounded wrongly by one CPU or another.
RATIOS = [1.0, 1.27, 1.65, 0.57, 0.71, 1.5, 2.25, 0.42]
# What TensorFlow computes by CPU.
BY_CPU = {"MatMul", "BatchMatMul", "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative", "FusedBatchNormV3", "Rsqrt"}
# Of a ``graph.TrainingGraph``.
ASKED = (
    "images", "classes", "offsets", "learning_rate", "averaging", "initialize", "anchors_tensor", "variables",
    "weights", "moments", "loss", "losses", "gradient_norm", "update",
)  # fmt: skip
MODEL = {
    "architecture": "ssd_mobilenet_v2",
    "depth_multiplier": 0.35,
    "min_depth": 3,
    "input_shape": [*SIZE, 3],
    "anchors": {"min_scale": 0.2, "max_scale": 0.95, "aspect_ratios": RATIOS, "reduce_lowest": True},
}


def describe(folder, cpu_class, optimizer):
    """Writes the training graph, and the names in it of what ``train`` asks for."""
    import graph

    assert kernels.load(cpu_class, 1), "this toolchain has no kernels"
    settings = OPTIMIZERS[optimizer]
    params = {"optimizer": settings, "seed": 1, "loss": LOSSES[optimizer], "clip_norm": 10.0, "ema": EMA}
    built = graph.TrainingGraph(MODEL, CLASSES, params)
    for op in built.graph.get_operations():
        assert op.type not in BY_CPU, f"{op.name}: TensorFlow computes {op.type} by CPU"
        assert op.type != "Sqrt" or op.outputs[0].shape.ndims == 0, f"{op.name}: a vector's roots are approximations"
    names = {key: _name(getattr(built, key)) for key in ASKED}
    wanted = [name for value in names.values() for name in (value.values() if isinstance(value, dict) else [value])]
    needed = tf.compat.v1.graph_util.extract_sub_graph(
        built.graph.as_graph_def(), [name.partition(":")[0] for name in wanted]
    )
    with open(os.path.join(folder, "graph.pb"), "wb") as stream:
        stream.write(needed.SerializeToString())
    names["first_biases"] = {tensor.name: value.tolist() for tensor, value in built._first_biases.items()}
    with open(os.path.join(folder, "names.json"), "w") as stream:
        json.dump(names, stream)


def _name(value):
    return {key: each.name for key, each in value.items()} if isinstance(value, dict) else value.name


class Described:
    """What ``describe`` wrote, to be used as a ``graph.TrainingGraph`` is: the names stand for its tensors."""

    def __init__(self, folder):
        with open(os.path.join(folder, "names.json")) as stream:
            self.__dict__.update(json.load(stream))
        described = tf.compat.v1.GraphDef()
        with open(os.path.join(folder, "graph.pb"), "rb") as stream:
            described.ParseFromString(stream.read())
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.import_graph_def(described, name="")

    def session(self):
        session = tf.compat.v1.Session(graph=self.graph, config=kernels.session_config())
        session.run(self.initialize, self.first_biases)
        return session

    def anchors(self, session):
        return session.run(self.anchors_tensor, {self.images: np.zeros((1,) + SIZE + (3,), np.uint8)})


def train(folder, cpu_class, threads, detections=""):
    """Prints the digests of a short training."""
    assert kernels.load(cpu_class, int(threads)), "this toolchain has no kernels"
    parts = {}
    made = [picture(number) for number in range(5)]
    pictures = records.Pictures(made)
    add(parts, "pictures", *[np.asarray(pictures[number]) for number in range(len(made))])
    weights = updated(parts, Described(folder), made, pictures)
    if detections:
        detect(parts, weights, made)
    print(json.dumps({part: digest.hexdigest() for part, digest in parts.items()}))


def updated(parts, built, made, pictures):
    """The weights after a few steps."""
    stream = batches.Stream(made, pictures, BATCH, 5, AUGMENTATION)
    with built.session() as session:
        anchors = built.anchors(session)
        add(parts, "anchors", anchors)
        add(parts, "first weights", *ordered(session.run(built.variables)))
        for number in range(STEPS):
            batch = stream.batch(number, SIZE)
            add(parts, "batches", batch.images, *batch.boxes)
            classes, offsets = targets.batch(anchors, batch.boxes, batch.labels)
            add(parts, "targets", classes, offsets)
            feed = {
                built.images: batch.images,
                built.classes: classes,
                built.offsets: offsets,
                built.learning_rate: schedule.learning_rate(RATE, number, STEPS),
                built.averaging: schedule.averaging(EMA, number),
            }
            loss, losses, norm, _ = session.run([built.loss, built.losses, built.gradient_norm, built.update], feed)
            add(parts, "losses", loss, norm, *ordered(losses))
        state = session.run(built.variables)
        add(parts, "weights and slots", *ordered(state))
        averages = batchnorm.averages(built, session, [batches.whole(made, pictures, range(BATCH), SIZE)])
    add(parts, "averages", *ordered(averages))
    return dict({name: state[name] for name in built.weights}, **averages)


def detect(parts, weights, made):
    """What the step's own evaluation finds."""
    import evaluation

    with evaluation.Evaluator(MODEL, CLASSES) as evaluator:
        answers = evaluator.answers(weights, made, records.Pictures(made))
    assert sum(len(scores) for _, scores, _ in answers) > len(made)
    add(parts, "detections", *[array for answer in answers for array in answer])


def picture(number):
    """A Record with a drawing of two boxes on a slope, as a JPEG with halved colours or a PNG."""
    random = np.random.RandomState(number)
    slope = np.linspace(0, 200, 240)[None, :, None] + random.randint(0, 55, (180, 1, 3))
    image = Image.fromarray(slope.astype(np.uint8))
    corners = random.uniform(0.05, 0.4, (2, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.2, 0.5, (2, 2))], axis=1).astype(np.float32)
    for top, left, bottom, right in boxes:
        outline = [int(left * 240), int(top * 180), int(right * 240), int(bottom * 180)]
        ImageDraw.Draw(image).ellipse(outline, tuple(int(value) for value in random.randint(0, 255, 3)))
    stream = io.BytesIO()
    image.save(stream, "PNG" if number == 4 else "JPEG", quality=85)
    return records.Record(stream.getvalue(), boxes, np.array([1, 2], np.int32), number + 1)


def ordered(named):
    return [named[name] for name in sorted(named)]


def add(parts, part, *arrays):
    digest = parts.setdefault(part, hashlib.sha256())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())


if __name__ == "__main__":
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    {"describe": describe, "train": train}[sys.argv[1]](*sys.argv[2:])
