"""TensorFlow 1 by one name, from 1.12 to 1.15.

The step code is written against ``tf.compat.v1`` and ``tf.lite``. 1.12 has neither: what they hold lies at its top and
in ``tf.contrib.lite``, with the same meaning.
"""

import tensorflow as tf

if not hasattr(tf.compat, "v1"):
    tf.compat.v1 = tf
lite = tf.lite if hasattr(tf, "lite") else tf.contrib.lite


def session_config(**options):
    """A ConfigProto of these options, under which a graph is optimised however long that takes.

    TensorFlow otherwise runs what it has after some time by the clock, so that a busy machine would compute other bits.
    """
    config = tf.compat.v1.ConfigProto(**options)
    rewrites = config.graph_options.rewrite_options
    if hasattr(rewrites, "meta_optimizer_timeout_ms"):  # 1.12 has no such limit
        rewrites.meta_optimizer_timeout_ms = -1
    return config


__all__ = ["lite", "session_config", "tf"]
