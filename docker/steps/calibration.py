"""Pictures that post-training quantization measures its ranges on."""

import augment
import contract
import numpy as np
import records


def pictures(path, count, seed, spec):
    """Normalised input tensors, float32 [1, height, width, 3], of ``count`` training pictures chosen by ``seed``.

    ``path``: train.tfrecord; ``spec``: input.json. They are seen whole, as in evaluation. Two pixels of the first are
    made black and white: the input's range is then that of all pictures, whichever were drawn.
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
            pixels[0, 0], pixels[-1, -1] = 0, 255
        yield ((pixels - np.float32(spec["mean"])) / np.float32(spec["std"]))[None]
        if number % 20 == 0 or number == len(chosen):
            contract.emit("progress", stage="calibrating", step=number, steps=len(chosen))
