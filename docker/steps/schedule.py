"""The learning rate of a step."""

import math


def learning_rate(params, step, steps):
    """The rate of ``step`` (from 0) of ``steps``: a linear warm-up, then constant or half a cosine to zero."""
    base, warmup = params["base"], params["warmup_steps"]
    if step < warmup:
        return base * (step + 1) / (warmup + 1)
    if params["schedule"] == "constant":
        return base
    done = (step - warmup) / max(1, steps - warmup)
    return base * 0.5 * (1 + math.cos(math.pi * done))
