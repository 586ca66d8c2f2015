"""Hard example mining by rank: the three hardest negatives for each positive, without non-maximum suppression.

The API's miner runs suppression at IoU 0.99 over all predicted boxes of each picture, a fifth of a training
step, to arrive at nearly the same selection.
"""
import tensorflow as tf

NEGATIVES_PER_POSITIVE = 3
LEAST_NEGATIVES = 3


def mine(location_losses, class_losses, positive):
    """Sums of the localisation and the classification loss over the selected anchors, two scalars.

    Losses and ``positive`` (bool) are [batch, anchors]. All positives are selected, and the negatives of
    highest classification loss: NEGATIVES_PER_POSITIVE for each positive, at least LEAST_NEGATIVES a picture.
    """
    mask = tf.cast(positive, tf.float32)
    anchors = tf.shape(class_losses)[1]
    count = tf.reduce_sum(tf.cast(positive, tf.int32), axis=1)
    wanted = tf.maximum(count * NEGATIVES_PER_POSITIVE, LEAST_NEGATIVES)
    negatives = tf.where(positive, -tf.ones_like(class_losses), class_losses)
    hardest = tf.nn.top_k(negatives, k=anchors).values
    selected = (tf.range(anchors)[None, :] < wanted[:, None]) & (hardest >= 0)
    negative_loss = tf.reduce_sum(tf.where(selected, hardest, tf.zeros_like(hardest)))
    return tf.reduce_sum(location_losses * mask), tf.reduce_sum(class_losses * mask) + negative_loss
