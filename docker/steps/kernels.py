"""Training's own kernels in place of TensorFlow's, where the toolchain could compile them.

They read each activation once forward and once backward: a convolution normalises and activates its input as it
reads it, and sums the moments of its output as it writes it. They give the same bits for any number of threads and
on any CPU of their class.

``substituted`` replaces the generated operations under slim and the Object Detection API while a network is built, so
that the network's description stays theirs. Without kernels in the toolchain it replaces nothing. Sources and op
semantics: ``kernels`` of the toolchain's folder.
"""

import contextlib
import ctypes
import os
import sys

import contract
import tf1
from tensorflow.python import pywrap_tensorflow_internal
from tensorflow.python.framework import ops
from tensorflow.python.ops import gen_nn_ops, nn_ops
from tf1 import tf

# The classes that kernels are compiled for, by their level of the architecture.
_LEVELS = {"x86-64-v3": 3, "x86-64-v4": 4}

_PLAIN, _AFFINE, _RELU6 = 0, 1, 2
_loaded = {}


def library_path(name):
    """Where the toolchain keeps one of its libraries: "kernels-" and a CPU class, or "cpu"."""
    return os.path.join(sys.prefix, "lib", "tinsmith", name + ".so")


def load(cpu_class, threads):
    """Loads the kernels, to run on ``threads`` threads. Returns whether this toolchain has any.

    A process has one CPU class: the first that is asked for. Failure ``cpu-class`` if this machine's is below it.
    """
    path = library_path("kernels-" + cpu_class)
    if not _loaded:
        if not os.path.isfile(path):
            return False
        level = ctypes.CDLL(library_path("cpu")).tinsmith_cpu_level()
        if level < _LEVELS[cpu_class]:
            raise contract.Failure(
                "cpu-class",
                "this machine's CPU is not of class %s: it is x86-64-v%d" % (cpu_class, level),
                help="build on another machine, or set train.cpu_class to one that this machine has",
            )
        # The kernels call TensorFlow's C interface, which Python has loaded for itself alone.
        ctypes.CDLL(pywrap_tensorflow_internal._pywrap_tensorflow_internal.__file__, ctypes.RTLD_GLOBAL)
        _loaded.update(ops=tf.load_op_library(path), settings=ctypes.CDLL(path))
    _loaded["settings"].tinsmith_set_threads(threads)
    return True


def loaded():
    """Whether networks can be built of the kernels: after a ``load`` that returned True."""
    return bool(_loaded)


def session_config():
    """One operation at a time, so that results repeat. With the kernels loaded they have the threads. What TensorFlow
    sums depends on its number of threads: it has one beside the kernels and two without them, whatever there is."""
    return tf1.session_config(
        intra_op_parallelism_threads=1 if _loaded else 2,
        inter_op_parallelism_threads=1,
        use_per_session_threads=True,
    )


@contextlib.contextmanager
def substituted(wanted=True):
    """While it lasts, networks are built of the kernels, if they are loaded and ``wanted``."""
    if not (_loaded and wanted):
        yield
        return
    own = (
        (gen_nn_ops, "conv2d", _conv2d),
        (gen_nn_ops, "fused_batch_norm_v3", _fused_batch_norm),
        (gen_nn_ops, "relu6", _relu6),
        (nn_ops, "depthwise_conv2d_native", _depthwise_conv2d),
    )
    stock = [getattr(module, name) for module, name, _ in own]
    try:
        for (module, name, build), function in zip(own, stock):
            setattr(module, name, build(function))
        yield
    finally:
        for (module, name, _), function in zip(own, stock):
            setattr(module, name, function)


def _conv2d(stock):
    def conv2d(input, filter, strides, padding, **options):
        dilations = options.get("dilations") or [1, 1, 1, 1]
        if padding != "SAME" or set(dilations) != {1} or not _usable(strides, options):
            return stock(input, filter, strides, padding, **options)
        return _convolution(input, filter, strides[1], 0, options.get("name"))

    return conv2d


def _depthwise_conv2d(stock):
    def depthwise_conv2d_native(input, filter, strides, padding, **options):
        known = filter.shape.as_list()[:2] == [3, 3] and filter.shape.as_list()[3] == 1
        if padding != "SAME" or not known or not _usable(strides, options):
            return stock(input, filter, strides, padding, **options)
        return _convolution(input, filter, strides[1], 1, options.get("name"))

    return depthwise_conv2d_native


def _usable(strides, options):
    nhwc = (options.get("data_format") or "NHWC") == "NHWC"
    return nhwc and strides[0] == strides[3] == 1 and strides[1] == strides[2] and strides[1] in (1, 2)


def _fused_batch_norm(stock):
    def fused_batch_norm_v3(x, scale, offset, mean, variance, epsilon=1e-4, is_training=True, **options):
        raw = _origin(x)
        if is_training and raw.op.type == "TinsmithConvolution":
            rows = tf.cast(tf.reduce_prod(tf.shape(raw)[:3]), tf.float32)
            mean, variance = raw.op.outputs[1:]
            # The moving average has the unbiased variance, as TensorFlow's own operation gives it.
            kept = variance * (rows / tf.maximum(rows - 1.0, 1.0))
        elif is_training:
            return stock(x, scale, offset, mean, variance, epsilon=epsilon, is_training=True, **options)
        else:
            kept = variance
        y = _normalise(raw, mean, scale / _loaded["ops"].tinsmith_root(variance + epsilon), offset, _AFFINE)
        return y, mean, kept, mean, variance, variance

    return fused_batch_norm_v3


def _relu6(stock):
    def relu6(features, name=None):
        source = _origin(features).op
        if source.type == "TinsmithNormalise" and source.get_attr("activation") == _AFFINE:
            return _normalise(*source.inputs, activation=_RELU6)
        return stock(features, name=name)

    return relu6


def _origin(tensor):
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _convolution(input, filter, stride, depthwise, name):
    source = _origin(input).op
    if source.type == "TinsmithNormalise":
        # The normalisation moves into this convolution; unless something else reads it too, it is never computed.
        read, activation = list(source.inputs), source.get_attr("activation")
    else:
        nothing = tf.zeros([0])
        read, activation = [input, nothing, nothing, nothing], _PLAIN
    y, mean, variance = _loaded["ops"].tinsmith_convolution(
        *read,
        filter=filter,
        activation=activation,
        stride=stride,
        depthwise=depthwise,
        propagate=int(source.type != "StopGradient"),
        name=name,
    )
    images, height, width, _ = read[0].shape.as_list()
    kernel = filter.shape.as_list()
    channels = kernel[2] if depthwise else kernel[3]
    y.set_shape([images, -(-height // stride), -(-width // stride), channels])
    mean.set_shape([channels])
    variance.set_shape([channels])
    return y


def update(name, variable, slots, gradient, settings):
    """The new values of a variable and of its two slots after one step of the optimiser ``name``."""
    function = {"adam": _loaded["ops"].tinsmith_adam, "rmsprop": _loaded["ops"].tinsmith_rmsprop}[name]
    return _like(function(variable, slots[0], slots[1], gradient, settings), [variable] + slots)


def _normalise(x, center, scale, offset, activation):
    y = _loaded["ops"].tinsmith_normalise(x, center, scale, offset, activation=activation)
    y.set_shape(x.shape)
    return y


@ops.RegisterGradient("TinsmithConvolution")
def _convolution_gradient(op, dy, dmean, dvariance):
    options = {name: op.get_attr(name) for name in ("activation", "stride", "depthwise", "propagate")}
    found = _loaded["ops"].tinsmith_convolution_grad(
        dy, dmean, dvariance, op.outputs[0], op.outputs[1], *op.inputs, **options
    )
    return _like(found, op.inputs)


@ops.RegisterGradient("TinsmithNormalise")
def _normalise_gradient(op, dy):
    found = _loaded["ops"].tinsmith_normalise_grad(dy, *op.inputs, activation=op.get_attr("activation"))
    return _like(found, op.inputs)


@ops.RegisterGradient("TinsmithRoot")
def _root_gradient(op, dy):
    return _like([0.5 * dy / op.outputs[0]], op.inputs)


def _like(gradients, inputs):
    for gradient, value in zip(gradients, inputs):
        gradient.set_shape(value.shape)
    return list(gradients)
