"""The learning rate of a step."""

import math


def learning_rate(params, step, steps):
    """The rate of ``step`` (from 0) of ``steps``: a linear warm-up, then constant, falling at given steps, or half a
    cosine to zero."""
    base, warmup = params["base"], params["warmup_steps"]
    if step < warmup:
        return base * (step + 1) / (warmup + 1)
    if params["schedule"] == "constant":
        return base
    if params["schedule"] == "steps":
        for drop in params["drops"]:
            base *= drop["factor"] if step >= drop["step"] else 1.0
        return base
    done = (step - warmup) / max(1, steps - warmup)
    return base * 0.5 * (1 + math.cos(math.pi * done))


def averaging(decay, step):
    """By how much of the way the moving average of the weights follows them after ``step`` (from 0).

    ``1 - decay``, but more in the first steps, as tf.train.ExponentialMovingAverage has it: an average that had to
    leave the first weights behind at a decay of 0.999 would be no use in a training of a thousand steps.
    """
    return 1.0 - min(decay, (1.0 + step) / (10.0 + step))
