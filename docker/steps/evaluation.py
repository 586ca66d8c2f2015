"""Detections of given weights on a split, scored: the figure at the end of a training."""

import batches
import coco_metrics
import graph
import kernels
import numpy as np
import pipeline
import records as records_module
from tf1 import tf


def evaluate(model_params, classes, weights, records, truth, threads, batch_size=8, rewrite=None):
    """COCO metrics (see ``coco_metrics.evaluate``) of ``weights`` (name -> array) on ``records``.

    ``truth``: COCO ground-truth dict whose image ids are the records' identities. ``rewrite``: a function of the
    graph, called when it is complete.
    """
    height, width, _ = model_params["input_shape"]
    images = {image["id"]: image for image in truth["images"]}
    pictures = records_module.Pictures(records)
    rows = []
    with tf.Graph().as_default():
        model = pipeline.build_model(model_params, classes, is_training=False)
        fed = tf.compat.v1.placeholder(tf.uint8, [None, height, width, 3])
        shapes = tf.tile([[height, width, 3]], [tf.shape(fed)[0], 1])
        normalised = model._feature_extractor.preprocess(tf.cast(fed, tf.float32))
        with kernels.substituted(rewrite is None):
            predicted = model.predict(tf.stop_gradient(normalised), shapes)
        answers = model.postprocess(predicted, shapes)
        if rewrite is not None:
            rewrite(tf.compat.v1.get_default_graph())
        with tf.compat.v1.Session(config=kernels.session_config(threads)) as session:
            variables = {variable.op.name: variable for variable in tf.compat.v1.global_variables()}
            session.run(tf.compat.v1.global_variables_initializer(), graph.assignments(variables, weights))
            for first in range(0, len(records), batch_size):
                indices = range(first, min(first + batch_size, len(records)))
                batch = batches.whole(records, pictures, indices, (height, width))
                found = session.run(answers, {fed: batch.images})
                for place, index in enumerate(indices):
                    count = int(found["num_detections"][place])
                    rows.extend(
                        coco_metrics.pixel_rows(
                            images[records[index].identity],
                            found["detection_boxes"][place][:count],
                            found["detection_scores"][place][:count],
                            found["detection_classes"][place][:count].astype(np.int64),
                        )
                    )
    return coco_metrics.evaluate(coco_metrics.load_truth(truth), rows)
