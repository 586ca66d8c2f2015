"""Rounding to 8 bits in the graph: the passes of the API's graph_rewriter (tf.contrib.quantize; Jacob et al., 2018).

In training the API folds batch norm with the statistics of each batch. Here the network is fine-tuned with batch norm
at the averages that were measured after the float training: ranges are then learnt on the very network that is
converted, in hundreds of steps instead of tens of thousands.
"""

import contract
import numpy as np
from tensorflow.contrib.quantize.python import fold_batch_norms, quantize

BITS = 8
_FIRST_RANGE = (-6.0, 6.0)
"""What the passes set a range to before any batch was seen."""


def for_training(delay):
    """A rewrite of a training graph: ranges follow the batches, rounding begins after ``delay`` steps."""

    def rewrite(graph):
        fold_batch_norms.FoldBatchNorms(graph, is_training=False)
        quantize.Quantize(graph, is_training=True, quant_delay=delay, weight_bits=BITS, activation_bits=BITS)

    return rewrite


def for_inference(graph):
    """The rewrite of an inference graph: the learnt ranges are used as they are."""
    fold_batch_norms.FoldBatchNorms(graph, is_training=False)
    quantize.Quantize(graph, is_training=False, weight_bits=BITS, activation_bits=BITS)


def check_ranges(weights):
    """Failure ``qat-ranges`` unless every range in ``weights`` (name -> array) was learnt and spans something.

    Returns how many there are.
    """
    names = sorted(name[: -len("/min")] for name in weights if name.endswith("_quant/min"))
    bad = []
    for name in names:
        low, high = (np.asarray(weights.get(name + end, np.nan), np.float64) for end in ("/min", "/max"))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            bad.append("%s is not finite" % name)
        elif (low >= high).any():
            bad.append("%s spans nothing (%g to %g)" % (name, low.min(), high.max()))
        elif (low == _FIRST_RANGE[0]).all() and (high == _FIRST_RANGE[1]).all():
            bad.append("%s was never measured" % name)
    if not names:
        bad.append("there are none")
    if bad:
        raise contract.Failure(
            "qat-ranges",
            "%d of %d ranges of the quantized network are unusable: %s" % (len(bad), len(names), "; ".join(bad[:5])),
            "give quantization more steps after its delay, or a lower learning_rate",
        )
    return len(names)
