"""Pictures that post-training quantization measures its ranges on."""

import augment
import contract
import numpy as np
import records

BEYOND = 0.125
"""Levels by which a range goes beyond black and white, for a float input that the model rounds to 255 levels itself.

With a range of just the 256 values and a mean of 127.5 every value lies halfway between two levels, and the last bit of
a program's division would decide which one it becomes.
"""


def pictures(path, count, seed, spec, beyond=0.0):
    """Normalised input tensors, float32 [1, height, width, 3], of ``count`` training pictures chosen by ``seed``.

    ``path``: train.tfrecord; ``spec``: input.json. They are seen whole, as in evaluation. Two pixels of the first are
    made black and white, ``beyond`` that by so many levels: the input's range is then that of all pictures, whichever
    were drawn.
    """
    found = records.read(path)
    if not found:
        raise contract.Failure("convert-calibration", "there is no training picture to calibrate on")
    _, height, width, _ = spec["shape"]
    chosen = np.random.RandomState(seed).permutation(len(found))[:count]
    for number, index in enumerate(sorted(chosen.tolist()), 1):
        picture = augment.render(records.decode(found[index].encoded), (0.0, 0.0, 1.0, 1.0), (height, width))
        pixels = np.array(picture, np.float32)
        if number == 1:
            pixels[0, 0], pixels[-1, -1] = 0 - beyond, 255 + beyond
        yield ((pixels - np.float32(spec["mean"])) / np.float32(spec["std"]))[None]
        if number % 20 == 0 or number == len(chosen):
            contract.emit("progress", stage="calibrating", step=number, steps=len(chosen))
