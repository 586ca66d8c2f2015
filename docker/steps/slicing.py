"""A narrower SSD MobileNet V2 out of a wider one: which channels to take, the same ones wherever a channel is used.

The channels that flow between two layers are a *space*: what a layer puts out in one, the next reads from it, so a
choice is made once for each space. Blocks that add their input to their output share one. Chosen are the channels with
the largest batch-norm scale (Liu et al., Learning Efficient Convolutional Networks through Network Slimming, 2017).
Measured on drawn shapes, depth 0.5 to 0.25, mean loss of steps 1 to 10 and 51 to 60, two seeds: from nothing 2.91 and
1.59; the first channels 1.77 and 0.70; by scale times the kernel's L1 norm 1.37 and 0.65; by scale 1.30 and 0.61.
Where least widths make a narrow block add what the wide one does not, no choice of channels makes up for it.
Pure: names and arrays in, arrays out.
"""

import re

import numpy as np

# Blocks 0 to 16 of MobileNet V2 by the stretch of equal width that they are in (Sandler et al., 2018, table 2).
_STRETCH = [0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6]
# Blocks of stride 1 between two stretches, as (layer before, block's last layer): slim's blocks add wherever the widths
# allow, and least widths or small multipliers make them equal.
_BETWEEN = [
    ("Conv", "expanded_conv/project"),
    ("expanded_conv_9/project", "expanded_conv_10/project"),
    ("expanded_conv_15/project", "expanded_conv_16/project"),
]
_BACKBONE = "FeatureExtractor/MobilenetV2/"
_EXTRA = re.compile(r"(layer_\d+_\d_Conv2d_\d_\dx\d(?:_s2)?)_\d+")
_BLOCK = re.compile(r"expanded_conv(?:_(\d+))?/(expand|depthwise|project)$")
_EXTRA_SCOPE = re.compile(r"layer_\d+_([12])_Conv2d_(\d)_\dx\d(?:_s2)?(_depthwise)?$")
_PREDICTOR = re.compile(r"BoxPredictor_(\d)/\w+$")


def canonical(name):
    """``name`` of a variable without the channel count that the API puts into the names of its extra layers."""
    return _EXTRA.sub(r"\1", name)


def slice_all(wide, shapes):
    """Arrays with the ``shapes`` (canonical name -> tuple) of a narrower network, sliced from ``wide`` (name -> array).

    Left out is what cannot be sliced: unknown layers, and predictors with another number of answers.
    """
    tied, chosen, sliced = _tied(wide), {}, {}
    for name in sorted(shapes):
        if name not in wide or wide[name].ndim != len(shapes[name]):
            continue
        array, shape = wide[name], shapes[name]
        for axis, space in spaces_of(name, len(shape)).items():
            if shape[axis] < array.shape[axis]:
                taken = _choose(tied.get(space, space), shape[axis], array.shape[axis], wide, tied, chosen)
                array = array if taken is None else np.take(array, taken, axis=axis)
        if array.shape == tuple(shape):
            sliced[name] = array
    return sliced


def spaces_of(name, rank):
    """{axis: space} of the variable ``name`` (canonical) with ``rank`` axes; axes with fixed channels are left out."""
    scope, kind = _scope_and_kind(name)
    before, after = _spaces(scope)
    if kind == "depthwise_weights":
        return {2: before} if before else {}
    if kind == "weights":
        return {axis: space for axis, space in ((rank - 2, before), (rank - 1, after)) if space}
    return {0: after} if after else {}


def _scope_and_kind(name):
    scope, _, kind = name.rpartition("/")
    if scope.endswith("/BatchNorm"):
        scope = scope[: -len("/BatchNorm")]
    return scope, kind


def _spaces(scope):
    """(space read, space written) of the layer ``scope``; None where the channels are not ours to choose."""
    predictor = _PREDICTOR.match(scope)
    if predictor:
        place = int(predictor.group(1))
        before = "block 13" if place == 0 else "last" if place == 1 else "extra %d" % place
        # A separable predictor's depthwise part writes what it reads.
        return before, before if scope.endswith("_depthwise") else None
    if not scope.startswith(_BACKBONE):
        return None, None
    layer = scope[len(_BACKBONE) :]
    if layer == "Conv":
        return None, "first"
    if layer == "Conv_1":
        return "stretch %d" % _STRETCH[16], "last"
    block, extra = _BLOCK.match(layer), _EXTRA_SCOPE.match(layer)
    if block and int(block.group(1) or 0) < len(_STRETCH):
        number, part = int(block.group(1) or 0), block.group(2)
        within = "block %d" % number if number else "first"
        if part == "expand":
            return "stretch %d" % _STRETCH[number - 1], within
        return within, within if part == "depthwise" else "stretch %d" % _STRETCH[number]
    if extra:
        half, number = extra.group(1), int(extra.group(2))
        if half == "1":
            return "last" if number == 2 else "extra %d" % (number - 1), "squeezed %d" % number
        return "squeezed %d" % number, "squeezed %d" % number if extra.group(3) else "extra %d" % number
    return None, None


def _tied(wide):
    """{space: the space before it} where a block of ``wide`` adds the one to the other."""
    tied = {}
    for before, after in _BETWEEN:
        pair = [wide.get(_BACKBONE + layer + "/weights") for layer in (before, after)]
        if all(array is not None and array.ndim == 4 for array in pair) and pair[0].shape[-1] == pair[1].shape[-1]:
            tied[_spaces(_BACKBONE + after)[1]] = _spaces(_BACKBONE + before)[1]
    return tied


def _choose(space, count, available, wide, tied, chosen):
    """Indices of ``count`` of the ``available`` channels of ``space``, ascending; None if there are not so many.

    What a smaller count takes is among what a larger one takes.
    """
    if (space, available) not in chosen:
        weight = np.zeros(available)
        for name, array in wide.items():
            scope, kind = _scope_and_kind(name)
            written = _spaces(scope)[1]
            if kind == "gamma" and tied.get(written, written) == space and array.shape == (available,):
                weight += np.abs(array)
        # By weight, and by place among equals, so that the choice never depends on an order of names.
        chosen[space, available] = np.lexsort((np.arange(available), -weight))
    return np.sort(chosen[space, available][:count]) if count <= available else None
