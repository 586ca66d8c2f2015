"""The API's hard-example miner beside the trainer's, at each checkpoint of a model_main training.

``mining_runs.py FOLDER OUT SETTINGS`` after ``training_runs.py`` with the same words. The last line of standard output
is a JSON list: ``step``, and the relative difference of the two ``localization`` and ``classification`` losses over all
training pictures, where the API suppresses at an overlap of 0.99 and the trainer does not; ``suppressed``: the share
of the anchors that the API's suppression takes away.
"""

import json  # noqa: I001  (train comes first of its own: it sets TensorFlow up)
import os
import sys

import train  # noqa: F401

import batches
import losses
import numpy as np
import pipeline
import records as records_module
import targets
import training_runs
from tf1 import tf


def main(folder, out, settings):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    learnt, batch = records_module.read(os.path.join(folder, "train.tfrecord")), settings["batch"]
    pictures, size = records_module.Pictures(learnt), (settings["size"], settings["size"])
    whole = list(batches.calm(learnt, pictures, batch, size, len(learnt)))
    made = [Pair(settings, whole[0], ours=False), Pair(settings, whole[0], ours=True)]
    model_folder = os.path.join(out, "model")
    numbers = sorted(
        int(name.split("-")[1].split(".")[0]) for name in os.listdir(model_folder) if name.endswith(".index")
    )
    print(json.dumps([compared(made, whole, model_folder, number) for number in numbers if number]))


class Pair(object):
    """A graph with both losses of a batch, by the API's miner or by ours."""

    def __init__(self, settings, batch, ours):
        count, (height, width) = len(batch.images), batch.images.shape[1:3]
        with tf.Graph().as_default() as self.graph:
            model = pipeline.build_model(training_runs.network(settings), ["thing"], True, training_runs.LOSS)
            self.images = tf.compat.v1.placeholder(tf.float32, [count, height, width, 3])
            prediction = model.predict(
                model._feature_extractor.preprocess(self.images), tf.tile([[height, width, 3]], [count, 1])
            )
            self.anchors = model.anchors.get()
            self.boxes = [tf.compat.v1.placeholder(tf.float32, [None, 4]) for _ in range(count)]
            self.classes = tf.compat.v1.placeholder(tf.int32, [count, None])
            self.offsets = tf.compat.v1.placeholder(tf.float32, [count, None, 4])
            self.kept = tf.zeros([])
            if ours:
                pair = losses.build(model, prediction, self.classes, self.offsets, 1, training_runs.LOSS)
            else:
                model.provide_groundtruth(self.boxes, [tf.ones([tf.shape(boxes)[0], 1]) for boxes in self.boxes])
                both = model.loss(prediction, tf.tile([[height, width, 3]], [count, 1]))
                pair = both["Loss/localization_loss"], both["Loss/classification_loss"]
                chosen = [op for op in self.graph.get_operations() if op.type.startswith("NonMaxSuppression")]
                self.kept = tf.add_n([tf.shape(op.outputs[0])[0] for op in chosen]) / (
                    count * tf.shape(self.anchors)[0]
                )
            self.pair, self.saver = pair, tf.compat.v1.train.Saver()
            self.session = tf.compat.v1.Session()

    def run(self, prefix, whole):
        """(losses float [batches, 2], the share of the anchors that suppression keeps)."""
        self.saver.restore(self.session, prefix)
        anchors = self.session.run(self.anchors, {self.images: whole[0].images})
        found = []
        for batch in whole:
            classes, offsets = targets.batch(anchors, batch.boxes, batch.labels)
            feed = dict(zip(self.boxes, batch.boxes))
            feed.update({self.images: batch.images, self.classes: classes, self.offsets: offsets})
            found.append(self.session.run([*self.pair, self.kept], feed))
        found = np.array(found, np.float64)
        return found[:, :2], found[:, 2].mean()


def compared(made, whole, model_folder, number):
    prefix = os.path.join(model_folder, "model.ckpt-%d" % number)
    (theirs, kept), (own, _) = (one.run(prefix, whole) for one in made)
    apart = np.abs(theirs - own).max(axis=0) / np.abs(theirs).max(axis=0)
    return {"step": number, "localization": apart[0], "classification": apart[1], "suppressed": 1 - kept}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
