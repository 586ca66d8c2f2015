"""Finds out what the network expects of a pixel, by asking the code it was trained with."""

import contract
import numpy as np

_TOLERANCE = 1e-6
"""Largest deviation from the training code that counts as rounding, in units of the normalised value."""


def derive(preprocess, height, width):
    """``mean``, ``std`` and ``range`` of ``preprocess``, so that it equals (pixel - mean) / std.

    ``preprocess`` maps pixels float32 [1, height, width, 3], values 0 to 255, to an array of that shape; the
    picture must have room for all 256 levels.
    Failure ``export-normalisation`` if no one mean and std describe it: it mixes channels, treats them
    differently, or is not affine.
    """
    levels = np.arange(256, dtype=np.float32)
    # Each channel in another order, so that a function that swaps or mixes channels shows.
    channels = np.stack([levels, levels[::-1], np.roll(levels, 77)], axis=-1)
    pixels = np.resize(channels, (1, height, width, 3))
    answer = np.asarray(preprocess(pixels), np.float64)
    if answer.shape != pixels.shape:
        raise contract.Failure("export-normalisation", "preprocessing changes the shape of a picture")
    low, high = float(answer[pixels == 0].mean()), float(answer[pixels == 255].mean())
    if not high > low:
        raise contract.Failure("export-normalisation", "preprocessing maps black and white to %r and %r" % (low, high))
    std = 255.0 / (high - low)
    for digits in range(1, 10):
        # float32 leaves noise in the last digits: take the shortest numbers that say the same.
        short = [float("%.*g" % (digits, value)) for value in (-low * std, std)]
        if short[1] and np.abs((pixels.astype(np.float64) - short[0]) / short[1] - answer).max() <= _TOLERANCE:
            return {"mean": short[0], "std": short[1], "range": [round(low, 6) + 0.0, round(high, 6) + 0.0]}
    raise contract.Failure(
        "export-normalisation",
        "the network's preprocessing is not (pixel - mean) / std with one mean and std for all channels",
        "a .tflite is fed by programs that know only mean and std; choose a feature extractor that needs no more",
    )
