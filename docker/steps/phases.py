"""The stretches of a training that run at one input size each."""

import collections

# Steps first <= step < last run with pictures of input_shape ([height, width, 3]).
Phase = collections.namedtuple("Phase", ["input_shape", "first", "last"])


def plan(model_params, train_params):
    """The Phases of a manifest's ``model`` and ``train`` sections, in order.

    Weights do not depend on the input size, so the first steps may run at a smaller one, which costs less.
    """
    steps, full = train_params["steps"], list(model_params["input_shape"])
    small = train_params.get("progressive")
    if not small:
        return [Phase(full, 0, steps)]
    return [Phase(list(small["input_shape"]), 0, small["steps"]), Phase(full, small["steps"], steps)]
