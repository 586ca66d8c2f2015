"""The training graph: the API's network and losses, fed with ready targets, one gated update."""

import hashlib

import kernels
import losses
import numpy as np
import optimizers
import pipeline
import targets
from tensorflow.core.framework import attr_value_pb2
from tf1 import tf

_RANDOM_OPS = ("TruncatedNormal", "RandomUniform", "RandomStandardNormal")


class TrainingGraph(object):
    """Everything a session needs to train at one input size. Build one a size; variables have the same names.

    ``params``: the manifest's ``train`` section. ``rewrite`` (a function of the graph) is called when the loss is there
    and before its gradients are; the network is then built as for inference, with its batch norm at fixed averages.

    ``variables``: name -> tf.Variable, weights and optimiser slots; ``weights``: those that a release keeps, with their
    ``shapes`` and the names of the ``trainable`` ones.
    ``moments``: moving-average variable name -> tensor with that batch's value. ``averaged``: trained variable's name
    -> the variable that holds its moving average over the steps; empty unless ``train.ema`` wants it.
    """

    def __init__(self, model_params, classes, params, rewrite=None):
        self.graph = tf.Graph()
        with self.graph.as_default():
            self._build(model_params, classes, params, rewrite)
            _seed_initializers(self.graph, params["seed"])
            self.initialize = tf.compat.v1.global_variables_initializer()
        self.graph.finalize()

    def _build(self, model_params, classes, params, rewrite):
        height, width, _ = model_params["input_shape"]
        self.size = (height, width)
        model = pipeline.build_model(model_params, classes, is_training=rewrite is None, loss=params["loss"])
        self.images = tf.compat.v1.placeholder(tf.uint8, [None, height, width, 3], "images")
        self.classes = tf.compat.v1.placeholder(tf.int32, [None, None], "classes")
        self.offsets = tf.compat.v1.placeholder(tf.float32, [None, None, 4], "offsets")
        self.learning_rate = tf.compat.v1.placeholder(tf.float32, [], "learning_rate")
        self.averaging = tf.compat.v1.placeholder_with_default(1.0, [], "averaging")

        # Pictures come at the model's size, so of the API's preprocessing only the normalisation is left to do.
        normalised = model._feature_extractor.preprocess(tf.cast(self.images, tf.float32))
        batch = tf.shape(self.images)[0]
        # The kernels stop there: no gradient of the pictures is wanted.
        normalised = tf.stop_gradient(normalised)
        # Fine-tuning's rewrite looks for TensorFlow's own operations.
        with kernels.substituted(rewrite is None):
            prediction = model.predict(normalised, tf.tile([[height, width, 3]], [batch, 1]))
        localization, classification = losses.build(
            model, prediction, self.classes, self.offsets, len(classes), params["loss"]
        )
        regularization = tf.add_n(tf.compat.v1.losses.get_regularization_losses())
        self.losses = {"localization": localization, "classification": classification, "regularization": regularization}
        self.loss = localization + classification + regularization
        self.anchors_tensor = model.anchors.get()

        if rewrite is not None:
            rewrite(self.graph)
        self.trainable = {v.op.name for v in tf.compat.v1.trainable_variables()}
        self.weights = {v.op.name: v for v in tf.compat.v1.global_variables()}
        self.shapes = {name: tuple(v.shape.as_list()) for name, v in self.weights.items()}
        biases = {name: v for name, v in self.weights.items() if name.endswith("/ClassPredictor/biases")}
        bias = pipeline.class_bias(params["loss"])
        first = {name: np.full(self.shapes[name], bias, np.float32) for name in biases}
        self._first_biases = assignments(biases, first)
        step = optimizers.optimizer_of(params["optimizer"], self.learning_rate)
        # GATE_GRAPH: no update starts before all gradients are there, or results differ from run to run.
        gradients = step.compute_gradients(
            self.loss, tf.compat.v1.trainable_variables(), gate_gradients=tf.compat.v1.train.Optimizer.GATE_GRAPH
        )
        values, variables = zip(*gradients)
        self.gradient_norm = tf.linalg.global_norm(values)
        if params["clip_norm"]:
            values, _ = tf.clip_by_global_norm(values, params["clip_norm"], self.gradient_norm)
        # The weights' penalty is no part of the gradients' graph: without this it may be read after the update.
        with tf.control_dependencies([self.loss]):
            self.update = step.apply_gradients(zip(values, variables))
        self.averaged = {}
        if params["ema"] is not None:
            self._average(variables)
        self.variables = {v.op.name: v for v in tf.compat.v1.global_variables()}
        self.moments = dict(_batch_moments(op) for op in tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.UPDATE_OPS))

    def _average(self, variables):
        """Moving averages of the trained variables, which follow each update by the share ``averaging``."""
        following = []
        for variable in variables:
            name = variable.op.name
            first = variable.initialized_value()
            average = tf.compat.v1.get_variable(name + "/average", initializer=first, trainable=False)
            self.averaged[name] = average
            with tf.control_dependencies([self.update]):
                apart = variable.read_value() - average
                following.append(tf.compat.v1.assign_add(average, self.averaging * apart))
        self.update = tf.group(*following)

    def session(self):
        """A session that gives the same bits each time."""
        session = tf.compat.v1.Session(graph=self.graph, config=kernels.session_config())
        session.run(self.initialize, self._first_biases)
        return session

    def anchors(self, session):
        """The anchors of this input size, float32 [a, 4], ymin xmin ymax xmax."""
        blank = np.zeros((1,) + self.size + (3,), np.uint8)
        return session.run(self.anchors_tensor, {self.images: blank})

    def feed(self, batch, anchors):
        """What to feed for a ``batches.Batch``."""
        classes, offsets = targets.batch(anchors, batch.boxes, batch.labels)
        return {self.images: batch.images, self.classes: classes, self.offsets: offsets}

    def state(self, session):
        """Every variable's value by name."""
        return session.run(self.variables)

    def restore(self, session, state):
        """Sets the variables; KeyError if ``state`` lacks one."""
        session.run(self.initialize, assignments(self.variables, state))

    def begin(self, session, weights):
        """Sets those variables that ``weights`` (name -> array) has, and their averages; the others keep their first
        values."""
        known = {name: value for name, value in weights.items() if name in self.variables}
        known.update((self.averaged[name].op.name, known[name]) for name in self.averaged if name in known)
        self.restore(session, dict(self.state(session), **known))


def assignments(variables, values):
    """What to feed an initialiser of all ``variables`` so that it sets them to ``values``, both by name.

    ``Variable.load`` would prune and optimise the whole graph anew for each of several hundred variables.
    """
    return {variable.initializer.inputs[1]: values[name] for name, variable in variables.items()}


def _seed_initializers(graph, seed):
    """Gives each random operation a seed of its own, from its name: TensorFlow's depend on the graph's size."""
    for op in graph.get_operations():
        if op.type in _RANDOM_OPS:
            own = int.from_bytes(hashlib.sha256(op.name.encode()).digest()[:4], "big") >> 1
            op._set_attr("seed", attr_value_pb2.AttrValue(i=seed))
            op._set_attr("seed2", attr_value_pb2.AttrValue(i=own))


def _batch_moments(update):
    """(moving-average variable name, this batch's value) of ``average -= (average - value) * (1 - decay)``."""
    difference = update.inputs[1].op.inputs[0].op
    return update.inputs[0].op.name, difference.inputs[1]
