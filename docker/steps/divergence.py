"""Notices a training that has run away, before it writes anything that cannot be used."""

import math

import contract
import numpy as np

_HELP = "lower learning_rate.base or lengthen warmup_steps"


def check_loss(loss, step, rate):
    """Failure ``diverged`` if the ``loss`` of ``step`` (from 1), taken at learning rate ``rate``, is not finite."""
    if not math.isfinite(loss):
        raise contract.Failure(
            "diverged",
            "loss is %s at step %d" % ("NaN" if math.isnan(loss) else "infinite", step),
            help="%s (the learning rate was %g at that step)" % (_HELP, rate),
        )


def check_weights(weights, steps):
    """Failure ``diverged`` naming the first of ``weights`` (name -> array) that holds a number that is not finite."""
    for name, value in sorted(weights.items()):
        if not np.isfinite(value).all():
            raise contract.Failure("diverged", "%s is not finite after step %d" % (name, steps), help=_HELP)
