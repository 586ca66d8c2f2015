"""TensorFlow 1 by one name, from 1.12 to 1.15.

The step code is written against ``tf.compat.v1`` and ``tf.lite``. 1.12 has neither: what they hold lies at its top and
in ``tf.contrib.lite``, with the same meaning.
"""

import tensorflow as tf

if not hasattr(tf.compat, "v1"):
    tf.compat.v1 = tf
lite = tf.lite if hasattr(tf, "lite") else tf.contrib.lite

__all__ = ["lite", "tf"]
