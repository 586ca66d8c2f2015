"""The trainer beside the Object Detection API's own code, on the same predictions and pictures.

Run by the tf1.15 toolchain's Python with the step code on its path. The last line of standard output is a JSON object:
``loss`` and ``gradient`` (largest relative difference between the API's mined losses and ours), ``positives`` (anchors
on objects in what was compared), ``crops``: name -> the largest distance between the two cumulative distributions, and
``kept``: the mean number of boxes left in a crop, theirs and ours.
"""

import json

import augment
import losses
import numpy as np
import pipeline
import ssd_crop
import targets
from object_detection.core import preprocessor
from tf1 import tf

MODEL = {
    "architecture": "ssd_mobilenet_v2",
    "depth_multiplier": 0.25,
    "min_depth": 8,
    "input_shape": [300, 300, 3],
    "anchors": {"min_scale": 0.2, "max_scale": 0.95, "aspect_ratios": [1.0, 2.0, 0.5, 3.0], "reduce_lowest": True},
}
MINED = {"type": "mined", "negatives_per_positive": 3, "least_negatives": 3, "localization_weight": 1.0}
CLASSES = ["a", "b", "c"]
CROPS = 3000


def main():
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    print(json.dumps(dict(compared_losses(), **compared_crops())))


def compared_losses():
    random = np.random.RandomState(3)
    boxes = [drawn(random, 1 + count) for count in range(4)]
    labels = [random.randint(1, 4, len(each)).astype(np.int32) for each in boxes]
    found = []
    for ours in (False, True):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            model = pipeline.build_model(MODEL, CLASSES, is_training=True, loss=MINED)
            # Built for its anchors; what it predicts is given.
            made = model.predict(tf.zeros([4, 300, 300, 3]), tf.tile([[300, 300, 3]], [4, 1]))
            session.run(tf.compat.v1.global_variables_initializer())
            anchors = session.run(model.anchors.get())
            given = np.random.RandomState(4)
            code = tf.constant(given.randn(4, len(anchors), 4).astype(np.float32))
            logits = tf.constant(given.randn(4, len(anchors), 4).astype(np.float32) * 3)
            prediction = dict(made, box_encodings=code, class_predictions_with_background=logits)
            if ours:
                classes, offsets = targets.batch(anchors, boxes, labels)
                positives = int((classes > 0).sum())
                pair = losses.build(model, prediction, tf.constant(classes), tf.constant(offsets), 3, MINED)
            else:
                wanted = [tf.one_hot(each - 1, 3) for each in labels]
                model.provide_groundtruth([tf.constant(each) for each in boxes], wanted)
                both = model.loss(prediction, tf.tile([[300, 300, 3]], [4, 1]))
                pair = both["Loss/localization_loss"], both["Loss/classification_loss"]
            found.append(session.run([*pair, *tf.gradients(sum(pair), [code, logits])]))
    assert all(np.isfinite(each).all() for pair in found for each in pair)
    apart = [np.abs(theirs - own).max() / np.abs(theirs).max() for theirs, own in zip(*found)]
    return {"loss": float(max(apart[:2])), "gradient": float(max(apart[2:])), "positives": positives}


def drawn(random, count):
    corner, size = random.rand(count, 2) * 0.5, 0.2 + random.rand(count, 2) * 0.3
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


def compared_crops():
    """Crops of one picture with two boxes, by the API and by ours."""
    height, width = 240, 320
    boxes, labels = np.array([[0.1, 0.2, 0.5, 0.6], [0.5, 0.55, 0.9, 0.95]], np.float32), np.array([1, 2], np.int32)
    theirs, own = [], []
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(1)
        image = tf.zeros([height, width, 3])
        made = preprocessor.ssd_random_crop(image, tf.constant(boxes), tf.constant(labels), tf.ones([2]))
        wanted = [tf.shape(made[0]), made[1]]
        for _ in range(CROPS):
            shape, kept = session.run(wanted)
            theirs.append((shape[0], shape[1], len(kept), kept.sum()))
    random = np.random.Generator(np.random.Philox(key=[1, 2]))
    for _ in range(CROPS):
        window, least = ssd_crop.window((height, width), boxes, random)
        kept = augment.moved(boxes[ssd_crop.kept(boxes, window, least)], window)
        own.append(
            (round((window[2] - window[0]) * height), round((window[3] - window[1]) * width), len(kept), kept.sum())
        )
    theirs, own = np.array(theirs, float), np.array(own, float)
    names = ("height", "width", "boxes", "corners")
    distances = {name: distance(theirs[:, at], own[:, at]) for at, name in enumerate(names)}
    return {"crops": distances, "kept": [theirs[:, 2].mean(), own[:, 2].mean()]}


def distance(first, second):
    """Kolmogorov and Smirnov's: the largest between the two cumulative distributions."""
    places = np.concatenate([first, second])
    shares = [np.searchsorted(np.sort(each), places, side="right") / len(each) for each in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


if __name__ == "__main__":
    main()
