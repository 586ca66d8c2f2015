"""The API's losses on ready targets, as the manifest's ``train.loss`` wants them."""

from tf1 import tf


def build(model, prediction, classes, offsets, class_count, params):
    """(localization, classification): the scalar losses of a batch, weighted and normalised by the API.

    ``model``: the API's SSDMetaArch; ``prediction``: what its ``predict`` gave. ``classes``: int32 [batch, anchors], 0
    for background and -1 for anchors that count nowhere; ``offsets``: float32 [batch, anchors, 4]. ``params``: the
    manifest's ``train.loss``.

    The API would match anchors to boxes in the graph, picture by picture; its ``loss`` is given the targets instead.
    """
    mined = params["type"] == "mined"
    positive, background = tf.cast(classes > 0, tf.float32), tf.cast(tf.equal(classes, 0), tf.float32)
    wanted = tf.one_hot(classes - 1, class_count)
    # Focal loss has no column for background: it is the absence of every class.
    first = background if mined else tf.zeros_like(background)
    wanted = tf.concat([first[:, :, None], wanted], axis=2)
    weights = tf.ones_like(wanted) * (positive + background)[:, :, None]

    model._classification_loss = _in_whole_vectors(model._classification_loss)
    model._assign_targets = lambda *_: (wanted, weights, offsets, positive, tf.zeros([1, 1], tf.int32))
    if mined:
        model._apply_hard_mining = _miner(positive, background, params)
    model.provide_groundtruth([tf.zeros([1, 4])], [tf.zeros([1, class_count])])
    losses = model.loss(prediction, None)
    return losses["Loss/localization_loss"], losses["Loss/classification_loss"]


def _in_whole_vectors(loss):
    """``loss`` over anchors filled up to a multiple of eight with some that weigh nothing.

    TensorFlow takes exponentials and logarithms of whole vectors by itself, of what is left over with the C library,
    whose versions differ.
    """

    def filled(prediction, target, weights, **options):
        count = tf.shape(prediction)[1]
        missing = [[0, 0], [0, -count % 8], [0, 0]]
        prediction, target, weights = (tf.pad(each, missing) for each in (prediction, target, weights))
        return loss(prediction, target, weights=weights, **options)[:, :count]

    return filled


def _miner(positive, background, params):
    """The API's HardExampleMiner (Liu et al., SSD, 2016; Shrivastava et al., OHEM, 2016) without its suppression.

    The published configuration suppresses at an overlap of 0.99 and keeps 3,000 of 1,917 anchors: it orders the anchors
    by their classification loss and little else, at a fifth of a step's cost.
    """

    def mine(location_losses, class_losses, *_):
        kept = positive + hardest(class_losses, positive, background, params)
        return tf.reduce_sum(location_losses * kept), tf.reduce_sum(class_losses * kept)

    return mine


def hardest(class_losses, positive, background, params):
    """float32 [batch, anchors]: 1 for the background anchors of each picture that are learnt from, else 0.

    Of equal losses the first anchors are taken.
    """
    wanted = tf.floor(params["negatives_per_positive"] * tf.reduce_sum(positive, axis=1))
    wanted = tf.maximum(wanted, float(params["least_negatives"]))
    candidates = tf.where(background > 0, class_losses, -tf.ones_like(class_losses))
    count = tf.shape(candidates)[1]
    order = tf.nn.top_k(candidates, count).indices
    rank = tf.nn.top_k(-order, count).indices  # the inverse permutation
    chosen = tf.cast(rank, tf.float32) < wanted[:, None]
    return tf.stop_gradient(tf.cast(chosen, tf.float32) * background)
