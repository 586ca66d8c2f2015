"""Notices a training that has run away, before it writes anything that cannot be used."""

import collections
import math

import contract
import numpy as np

_HELP = "lower learning_rate.base or lengthen warmup_steps"


_RUN = 20
_EXPLODED = 10.0


class Losses(object):
    """Follows the losses of a training, step by step; ``rows``: those of the steps before, as in metrics.jsonl."""

    def __init__(self, rows=()):
        self._recent = collections.deque(maxlen=_RUN)
        self._first = self._least = None
        for row in rows:
            self._take(row["loss"])

    def check(self, loss, step, rate):
        """Failure ``diverged`` if the ``loss`` of ``step`` (from 1), taken at learning rate ``rate``, is not finite, or
        if the mean of the last 20 losses is ten times the least such mean and above that of the first 20."""
        at = "%s (the learning rate was %g at that step)" % (_HELP, rate)
        if not math.isfinite(loss):
            name = "NaN" if math.isnan(loss) else "infinite"
            raise contract.Failure("diverged", "loss is %s at step %d" % (name, step), help=at)
        mean = self._take(loss)
        if mean is not None and mean > _EXPLODED * self._least and mean > self._first:
            text = "loss grows: %.3g on average before step %d, after it had been down to %.3g"
            raise contract.Failure("diverged", text % (mean, step, self._least), help=at)

    def _take(self, loss):
        self._recent.append(loss)
        if len(self._recent) < _RUN:
            return None
        mean = math.fsum(self._recent) / _RUN
        self._first = mean if self._first is None else self._first
        self._least = mean if self._least is None else min(mean, self._least)
        return mean


def check_answers(looks, steps):
    """Failure ``dead-output`` if, past half of ``steps``, two looks in a row found one answer for every picture.

    ``looks``: [(step, why the answers count as one, or None)] so far. In its first steps every network answers so.
    """
    if len(looks) < 2 or looks[-1][0] >= steps or looks[-2][0] * 2 < steps:
        return
    if looks[-1][1] and looks[-2][1]:
        raise contract.Failure(
            "dead-output",
            "the network answers the same for every picture, still at step %d: %s" % looks[-1],
            help="another learning_rate.base, batch_size or optimizer; look at the boxes in the data for mistakes",
        )


def check_weights(weights, steps):
    """Failure ``diverged`` naming the first of ``weights`` (name -> array) that holds a number that is not finite."""
    for name, value in sorted(weights.items()):
        if not np.isfinite(value).all():
            raise contract.Failure("diverged", "%s is not finite after step %d" % (name, steps), help=_HELP)
