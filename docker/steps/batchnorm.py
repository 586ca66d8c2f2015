"""Batch-norm averages of the weights as trained.

The API's moving averages have a decay of 0.9997: after a thousand steps three quarters of their value is still
where they began, and evaluation would run another network than the one trained. Here they are not tracked at
all, but measured once, with the final weights, on fixed batches.
"""

import numpy as np


def averages(graph, session, batches):
    """Moving-average variable name -> mean of the batch moments over ``batches``, float32.

    The sums are taken in float64. The spread of the batch means is not added to the variance: the network was
    trained with the variance within a batch.
    """
    sums, count = {}, 0
    for batch in batches:
        for name, value in session.run(graph.moments, {graph.images: batch.images}).items():
            sums[name] = sums.get(name, 0.0) + value.astype(np.float64)
        count += 1
    return {name: (total / count).astype(np.float32) for name, total in sums.items()}
