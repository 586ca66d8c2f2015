"""What TensorFlow 1.15's converter writes into the .tflite of a network, for each type of quantization.

Batch norm is folded into a filter and a bias. The file is put together part by part, names included, and measured.
What cannot be known beforehand is where a few words of padding fall, and which inputs of a concatenation int8 has to
rescale.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from builder.digest import canonical_json
from builder.predict.layout import File, Operator, Tensor
from builder.predict.network import Convolution, Network, Shape

_REST = 600
"""Bytes of what every file has once: operator codes, options of the post-processing operator, lists of fields."""
_LEAST_DYNAMIC = 1024
"""Weights of fewer numbers than this stay float32 when quantized dynamically."""
_POSTPROCESS = "TFLite_Detection_PostProcess"
_BOX_CODE = 4
_UNARY = Operator(1)


def tflite_bytes(network: Network, quantization: Mapping[str, Any]) -> int:
    """Bytes of model.tflite for a ``quantization`` section with its defaults filled in."""
    return _bytes(network, canonical_json(quantization))


@functools.lru_cache(maxsize=1024)
def _bytes(network: Network, written: bytes) -> int:
    quantization = json.loads(written)
    return _REST + _TYPES[quantization["type"]](network, quantization).bytes


def _float32(network: Network, quantization: Mapping[str, Any]) -> File:
    return File(tuple(_tensors(network, rounded=False)), tuple(_operators(network)))


def _float16(network: Network, quantization: Mapping[str, Any]) -> File:
    """Every float constant is half as wide, and made float32 again when the model runs."""
    whole = _float32(network, quantization)
    constants = [tensor for tensor in whole.tensors if tensor.width and tensor.float32]
    wide = {id(tensor) for tensor in constants}
    kept = [replace(tensor, width=2, float32=False) if id(tensor) in wide else tensor for tensor in whole.tensors]
    return File((*kept, *map(_dequantized, constants)), (*whole.operators, *[_UNARY] * len(constants)), rewritten=True)


def _dynamic(network: Network, quantization: Mapping[str, Any]) -> File:
    """Large filters are int8. Depthwise convolutions do not take those: theirs are made float32 again."""
    whole = _float32(network, quantization)
    large = [tensor for tensor in whole.tensors if tensor.role == "filter" and tensor.elements >= _LEAST_DYNAMIC]
    again = [tensor for tensor in large if tensor.name.endswith("depthwise_weights")]
    rounded = {id(tensor) for tensor in large}
    kept = [_in_bytes(tensor) if id(tensor) in rounded else tensor for tensor in whole.tensors]
    return File((*kept, *map(_dequantized, again)), (*whole.operators, *[_UNARY] * len(again)), rewritten=True)


def _int8(network: Network, quantization: Mapping[str, Any]) -> File:
    """Filters and biases have a scale for each channel. The post-processing takes float32: it is fed dequantized."""
    whole = _float32(network, quantization)
    tensors: list[Tensor] = []
    for tensor in whole.tensors:
        if tensor.role == "filter":
            channels = tensor.shape[-1 if tensor.name.endswith("depthwise_weights") else 0]
            tensors.append(replace(tensor, width=1, float32=False, scales=channels))
        elif tensor.role == "bias":
            tensors.append(replace(tensor, float32=False, scales=tensor.elements))
        elif tensor.role in ("input", "answer"):
            tensors.append(replace(tensor, float32=False, scales=1, ranged=True))
        else:
            tensors.append(tensor)
        # Inputs of a concatenation must share its scale. One of them has it already: say, the first.
        if "/Reshape" in tensor.name and tensor.role == "answer" and not tensor.name.startswith("BoxPredictor_0"):
            tensors.append(replace(tensors[-1], name=tensor.name + "_requantized", ranged=False, added=True))
        if tensor.name in ("Squeeze", "convert_scores"):
            tensors.append(replace(tensor, name=tensor.name + "_float", added=True))
    (image,) = (tensor for tensor in whole.tensors if tensor.role == "input")
    bytes_in = quantization["interface"] == "uint8"
    tensors.append(replace(image, added=True, float32=not bytes_in, scales=int(bytes_in)))
    extra = sum(tensor.added for tensor in tensors)
    return File(tuple(tensors), (*whole.operators, *[_UNARY] * extra), rewritten=True)


def _uint8_qat(network: Network, quantization: Mapping[str, Any]) -> File:
    """All is in bytes, with one scale a tensor; the anchors too."""
    tensors = []
    for tensor in _tensors(network, rounded=True):
        if tensor.role == "bias":
            tensors.append(replace(tensor, float32=False, scales=1))
        elif tensor.role in ("form", "output"):
            tensors.append(tensor)
        else:
            tensors.append(replace(_in_bytes(tensor), ranged=True))
    return File(tuple(tensors), tuple(_operators(network)))


_TYPES: Mapping[str, Callable[[Network, Mapping[str, Any]], File]] = {
    "float32": _float32,
    "float16": _float16,
    "dynamic": _dynamic,
    "int8": _int8,
    "uint8-qat": _uint8_qat,
}


def _dequantized(tensor: Tensor) -> Tensor:
    return replace(tensor, name=tensor.name + "_dequantize", width=0, added=True)


def _in_bytes(tensor: Tensor) -> Tensor:
    return replace(tensor, width=min(tensor.width, 1), float32=False, scales=1)


def _tensors(network: Network, rounded: bool) -> Iterator[Tensor]:
    """Those of the float32 file; ``rounded``: with the names of a graph of quantization-aware training."""
    yield Tensor("input", "normalized_input_image_tensor", _batch(network.image))
    for layer in network.convolutions:
        yield from _of_convolution(layer, rounded)
    for index, (shape, places) in enumerate(network.maps):
        boxes = shape.height * shape.width * places
        yield from _reshape(f"BoxPredictor_{index}/Reshape", "/shape", (1, boxes, 1, _BOX_CODE))
        yield from _reshape(f"BoxPredictor_{index}/Reshape_1", "/shape", (1, boxes, network.slots))
    yield from _reshape("Squeeze", "_shape", (1, network.anchors, _BOX_CODE))
    yield Tensor("answer", "concat", (1, network.anchors, 1, _BOX_CODE))
    for name in ("concat_1", "convert_scores"):
        yield Tensor("answer", name, (1, network.anchors, network.slots))
    yield Tensor("anchors", "anchors", (network.anchors, _BOX_CODE), width=4)
    for number in ("", ":1", ":2", ":3"):
        yield Tensor("output", _POSTPROCESS + number, ())


def _of_convolution(layer: Convolution, rounded: bool) -> Iterator[Tensor]:
    scope, kernel, channels = layer.scope, layer.kernel, layer.result.channels
    operation = "depthwise" if layer.depthwise else "Conv2D"
    filter_name = "weights_quant/FakeQuantWithMinMaxVars" if rounded else "weights"
    if layer.depthwise and not rounded:
        filter_name = "depthwise_weights"
    form = (1, kernel, kernel, channels) if layer.depthwise else (channels, kernel, kernel, layer.source.channels)
    yield Tensor("filter", f"{scope}/{filter_name}", form, width=4)
    folded = "_Fold" if rounded and layer.normalised else ""
    yield Tensor("bias", f"{scope}/{operation}{folded}_bias", (channels,), width=4)
    linear = "add_fold" if rounded else "BatchNorm/FusedBatchNormV3"
    answer = "Relu6" if layer.activated else linear if layer.normalised else "BiasAdd"
    yield Tensor("answer", f"{scope}/{answer}", _batch(layer.result))
    if layer.adds:
        yield Tensor("answer", f"{scope.rpartition('/')[0]}/add", _batch(layer.result))


def _reshape(name: str, suffix: str, form: tuple[int, ...]) -> Iterator[Tensor]:
    yield Tensor("answer", name, form)
    yield Tensor("form", name + suffix, (len(form),), width=4, float32=False)


def _operators(network: Network) -> Iterator[Operator]:
    for layer in network.convolutions:
        # Strides, activation; a depthwise one also has its multiplier.
        yield Operator(3, (4, 4, 4, 1) if layer.depthwise else (4, 4, 1))
        if layer.adds:
            yield Operator(2, ())
    for rank in [4, 3] * len(network.maps) + [3]:
        yield Operator(2, (4, 4 + 4 * rank))  # Reshape, which holds its form here too.
    yield from [Operator(len(network.maps), (4,))] * 2  # Concatenations of boxes and of scores.
    yield _UNARY  # Logistic.
    yield Operator(3, outputs=4)  # Post-processing.


def _batch(shape: Shape) -> tuple[int, ...]:
    return (1, shape.height, shape.width, shape.channels)
