"""A short training of a small network, as digests of everything on its way from pictures to detections.

Run by the tf1.15 toolchain's Python with the step code on its path: ``python cpu_checks.py CPU_CLASS THREADS OPTIMIZER
[detections]``. The last line of standard output is a JSON object of SHA-256 by part. Two processors whose lines are the
same gave the same bits.
"""

import hashlib
import io
import json
import sys

import batches
import batchnorm
import evaluation
import graph
import kernels
import numpy as np
import records
import schedule
from PIL import Image, ImageDraw
from tf1 import tf

SIZE = (72, 104)
BATCH, STEPS = 3, 4
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
MODEL = {
    "architecture": "ssd_mobilenet_v2",
    "depth_multiplier": 0.35,
    "min_depth": 3,
    "input_shape": [*SIZE, 3],
    "anchors": {"min_scale": 0.2, "max_scale": 0.95, "aspect_ratios": RATIOS, "reduce_lowest": True},
}


def main(cpu_class, threads, optimizer, detections=""):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    assert kernels.load(cpu_class, threads), "this toolchain has no kernels"
    parts = {}
    made = [picture(number) for number in range(5)]
    pictures = records.Pictures(made)
    add(parts, "pictures", *[np.asarray(pictures[number]) for number in range(len(made))])
    weights = train(parts, OPTIMIZERS[optimizer], made, pictures)
    if detections:
        detect(parts, weights, made)
    print(json.dumps({part: digest.hexdigest() for part, digest in parts.items()}))


def train(parts, settings, made, pictures):
    """Trains a little; returns the weights."""
    stream = batches.Stream(made, pictures, BATCH, 5, AUGMENTATION)
    params = {"optimizer": settings, "seed": 1, "loss": LOSSES[settings["type"]], "clip_norm": 10.0, "ema": EMA}
    built = graph.TrainingGraph(MODEL, CLASSES, params)
    for op in built.graph.get_operations():
        assert op.type not in BY_CPU, f"{op.name}: TensorFlow computes {op.type} by CPU"
        assert op.type != "Sqrt" or op.outputs[0].shape.ndims == 0, f"{op.name}: a vector's roots are approximations"
    with built.session() as session:
        anchors = built.anchors(session)
        add(parts, "anchors", anchors)
        add(parts, "first weights", *ordered(built.state(session)))
        for number in range(STEPS):
            batch = stream.batch(number, SIZE)
            add(parts, "batches", batch.images, *batch.boxes)
            feed = built.feed(batch, anchors)
            add(parts, "targets", feed[built.classes], feed[built.offsets])
            feed[built.learning_rate] = schedule.learning_rate(RATE, number, STEPS)
            feed[built.averaging] = schedule.averaging(EMA, number)
            loss, losses, norm, _ = session.run([built.loss, built.losses, built.gradient_norm, built.update], feed)
            add(parts, "losses", loss, norm, *ordered(losses))
        add(parts, "weights and slots", *ordered(built.state(session)))
        weights = session.run(built.weights)
        averages = batchnorm.averages(built, session, [batches.whole(made, pictures, range(BATCH), SIZE)])
    add(parts, "averages", *ordered(averages))
    return dict(weights, **averages)


def detect(parts, weights, made):
    """What the step's own evaluation finds."""
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
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
