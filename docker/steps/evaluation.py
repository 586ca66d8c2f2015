"""Detections of given weights on pictures: while a training runs and at its end."""

import batches
import graph
import kernels
import numpy as np
import pipeline
from tf1 import tf

_BATCH = 8


class Evaluator(object):
    """The network as it will be exported, at one input size, for any number of weights. A context manager.

    ``rewrite``: a function of the graph, called when it is complete.
    """

    def __init__(self, model_params, classes, rewrite=None):
        height, width, _ = model_params["input_shape"]
        self._size = (height, width)
        with tf.Graph().as_default() as built:
            model = pipeline.build_model(model_params, classes, is_training=False)
            self._images = tf.compat.v1.placeholder(tf.uint8, [None, height, width, 3])
            shapes = tf.tile([[height, width, 3]], [tf.shape(self._images)[0], 1])
            normalised = model._feature_extractor.preprocess(tf.cast(self._images, tf.float32))
            with kernels.substituted(rewrite is None):
                predicted = model.predict(tf.stop_gradient(normalised), shapes)
            self._answers = model.postprocess(predicted, shapes)
            if rewrite is not None:
                rewrite(built)
            self._variables = {variable.op.name: variable for variable in tf.compat.v1.global_variables()}
            self._initialize = tf.compat.v1.global_variables_initializer()
            self._session = tf.compat.v1.Session(config=kernels.session_config())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._session.close()

    def answers(self, weights, records, pictures):
        """What ``weights`` (name -> array) find in each of ``records``: [(boxes, scores, classes)], best first.

        boxes float32 [n, 4], ymin xmin ymax xmax as shares of the picture; scores [n]; classes int64 [n], from 0.
        """
        self._session.run(self._initialize, graph.assignments(self._variables, weights))
        found = []
        for first in range(0, len(records), _BATCH):
            indices = range(first, min(first + _BATCH, len(records)))
            batch = batches.whole(records, pictures, indices, self._size)
            answer = self._session.run(self._answers, {self._images: batch.images})
            for place in range(len(indices)):
                count = int(answer["num_detections"][place])
                names = ("detection_boxes", "detection_scores", "detection_classes")
                boxes, scores, classes = (answer[name][place][:count] for name in names)
                found.append((boxes, scores, classes.astype(np.int64)))
        return found
