"""The training kernels beside TensorFlow's own operations in float64, and beside themselves on other threads.

Run by the tf1.15 toolchain's Python with the step code on its path: ``python kernel_checks.py CPU_CLASS THREADS
[beside]``. The last line of standard output is a JSON object with ``digest`` (of every number that the kernels gave);
``beside`` TensorFlow also ``cases``, ``worst`` (largest error as a share of the largest value) and ``where``.
"""

import hashlib
import itertools
import json
import sys

import graph
import kernels
import numpy as np
from tf1 import tf

SIZES = ((1, 7, 9), (3, 10, 6), (2, 1, 1), (5, 19, 2))
CHANNELS = ((8, 16), (3, 5), (17, 33), (24, 1))
KERNELS = ((1, 0), (3, 0), (3, 1), (2, 0))
# Wide enough for several panels of rows, and for another number of whole vectors in each CPU class.
WIDE = ((32, 10, 10), (307, 24), (1, 0), 1, 2)
MODEL = {
    "architecture": "ssd_mobilenet_v2",
    "depth_multiplier": 0.35,
    "min_depth": 3,
    "input_shape": [72, 104, 3],
    "anchors": {"min_scale": 0.2, "max_scale": 0.95, "aspect_ratios": [1.0, 2.0, 0.5], "reduce_lowest": True},
}


def main(cpu_class, threads, beside):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    stock = trained() if beside else None
    assert kernels.load(cpu_class, threads), "this toolchain has no kernels"
    said, digest = {}, hashlib.sha256()
    found = [error for number, case in enumerate(cases()) for error in errors(number, *case, digest, beside)]
    found += list(root_errors(digest))
    network = trained()
    for value in network:
        digest.update(value.tobytes())
    if beside:
        losses = apart(stock[0], network[0], 1e-3)
        # Both round float32 in their own ways: one unit in the last place of the weights moves gradients by 2e-4.
        assert losses < 1e-3, f"a whole network loses {losses:g} more or less than with TensorFlow's operations"
        worst, where = max(found)
        said = {"cases": len(found), "worst": worst, "where": where}
    print(json.dumps({**said, "digest": digest.hexdigest()}))


def cases():
    every = itertools.product(SIZES, CHANNELS, KERNELS, (1, 2), (0, 1, 2))
    return list(every)[::3] + [WIDE]


def errors(number, size, channels, kernel, stride, activation, digest, beside):
    """Of every output and every gradient of one convolution, if it is held ``beside`` TensorFlow's."""
    random = np.random.RandomState(number)
    (inner, outer), (side, depthwise) = channels, kernel
    out = inner if depthwise else outer
    values = {
        "x": random.randn(*size, inner) * 2 + 1,
        "filter": random.randn(side, side, inner, 1 if depthwise else outer) * 0.3,
        "center": random.randn(inner),
        "scale": random.rand(inner) + 0.5,
        "offset": random.randn(inner) + 1,
    }
    shape = (size[0], -(-size[1] // stride), -(-size[2] // stride), out)
    given = [random.randn(*shape), random.randn(out), random.randn(out)]
    names = ["x", "filter"] + (["center", "scale", "offset"] if activation else [])

    def answers(dtype, convolve):
        with tf.Graph().as_default(), tf.compat.v1.Session(config=kernels.session_config()) as session:
            tensors = {name: tf.constant(value, dtype) for name, value in values.items()}
            outputs = convolve(tensors, stride, activation, depthwise)
            total = tf.add_n([tf.reduce_sum(y * tf.constant(g, dtype)) for y, g in zip(outputs, given)])
            return session.run(list(outputs) + tf.gradients(total, [tensors[name] for name in names]))

    got = answers(tf.float32, fused)
    for value in got:
        digest.update(value.tobytes())
    if not beside:
        return
    wanted = answers(tf.float64, reference)
    for name, right, value in zip(["y", "mean", "variance", *names], wanted, got):
        # A moment of few numbers can be near zero: it is then as exact as what it was summed from.
        floor = np.square(wanted[0]).mean() if name == "variance" else np.abs(wanted[0]).mean()
        yield apart(right, value, floor if name in ("mean", "variance") else 0.1), f"{name} of case {number}"


def reference(tensors, stride, activation, depthwise):
    x = tensors["x"]
    if activation:
        x = (x - tensors["center"]) * tensors["scale"] + tensors["offset"]
    if activation == 2:
        x = tf.minimum(tf.maximum(x, 0.0), 6.0)
    convolve = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
    y = convolve(x, tensors["filter"], strides=[1, stride, stride, 1], padding="SAME")
    mean = tf.reduce_mean(y, [0, 1, 2])
    return y, mean, tf.reduce_mean((y - mean) ** 2, [0, 1, 2])


def fused(tensors, stride, activation, depthwise):
    nothing = tf.zeros([0])
    read = [tensors[name] if activation else nothing for name in ("center", "scale", "offset")]
    return kernels._loaded["ops"].tinsmith_convolution(
        tensors["x"],
        *read,
        filter=tensors["filter"],
        activation=activation,
        stride=stride,
        depthwise=depthwise,
        propagate=1,
    )


def root_errors(digest):
    values = np.float32(np.random.RandomState(9).rand(1001) * 10)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        got = session.run(kernels._loaded["ops"].tinsmith_root(tf.constant(values)))
    digest.update(got.tobytes())
    assert (got == np.sqrt(values)).all(), "a root that is not correctly rounded"
    yield 0.0, "root"


def apart(wanted, got, floor):
    assert np.isfinite(got).all(), "a result that is no number"
    return float(np.abs(wanted - got).max() / max(floor, np.abs(wanted).max()))


def trained():
    """The losses and the batch moments of a small network after three updates; cpu_checks.py has other optimizers."""
    settings = {"type": "momentum", "momentum": 0.9}
    loss = {"type": "focal", "alpha": 0.5, "gamma": 2.0, "localization_weight": 0.3}
    params = {"optimizer": settings, "seed": 1, "loss": loss, "clip_norm": 10.0, "ema": None}
    built = graph.TrainingGraph(MODEL, ["a", "b"], params)
    random = np.random.RandomState(4)
    with built.session() as session:
        count = len(built.anchors(session))
        classes = (random.rand(6, count) < 0.02).astype(np.int32)
        feed = {
            built.images: random.randint(0, 255, (6, 72, 104, 3)).astype(np.uint8),
            built.classes: classes,
            built.offsets: random.randn(6, count, 4).astype(np.float32) * classes[:, :, None],
            built.learning_rate: 1e-4,
        }
        losses = [session.run([built.loss, built.update], feed)[0] for _ in range(3)]
        moments = session.run(built.moments, feed)
    return [np.array(losses)] + [moments[name] for name in sorted(moments)]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "beside" in sys.argv[3:])
