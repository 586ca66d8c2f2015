"""Trains the network of a manifest on the records of ingest.

Its own loop instead of the API's Estimator: seeded, resumable after a kill at any moment with the same bits at
the end, and never silent. Writes model.ckpt (weights, batch-norm averages measured on training pictures),
metrics.jsonl, a TensorBoard file and summary.json; running state and live TensorBoard files are in checkpoints/.
"""

import os
import warnings

# Before TensorFlow starts: its allocator otherwise gives every large buffer back and faults it in again.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
warnings.simplefilter("ignore")

import batches  # noqa: E402
import batchnorm  # noqa: E402
import checkpoints  # noqa: E402
import contract  # noqa: E402
import divergence  # noqa: E402
import graph as graph_module  # noqa: E402
import kernels  # noqa: E402
import narration  # noqa: E402
import numpy as np  # noqa: E402
import phases  # noqa: E402
import records as records_module  # noqa: E402
import schedule  # noqa: E402
import warmstart  # noqa: E402
from tf1 import tf  # noqa: E402

try:
    import evaluation
except ImportError:  # a toolchain without pycocotools
    evaluation = None

# TensorBoard reads a folder's files with "tfevents" in their names.
EVENTS = "events.out.tfevents.0.tinsmith"

# Pictures that the batch-norm averages are measured on, at most.
AVERAGED_PICTURES = 800


def main(request):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    init = request.params["train"]["init"]
    if not kernels.load(request.params["cpu_class"], request.threads):
        contract.emit("message", text="no training kernels in this toolchain: TensorFlow's own operations, slower")

    def first(shapes, trainable):
        return warmstart.weights(request, init, shapes, trainable)

    finish(request, Training(request, request.params["train"], None if init["type"] == "none" else first))


def finish(request, training, rewrite=None):
    """Runs ``training`` and writes all that is left of it; ``rewrite`` as for ``evaluation.evaluate``."""
    weights = training.run()
    metrics = _evaluate(request, training, weights, rewrite)
    narration.write_rows(contract.output_path(request, "metrics.jsonl"), training.rows)
    narration.write_events(contract.output_path(request, "tensorboard", EVENTS), training.rows)
    _save_weights(contract.output_path(request, "model.ckpt"), weights)
    last = training.rows[-1]
    contract.write_json(
        contract.output_path(request, "summary.json"),
        {
            "steps": training.steps,
            "pictures": len(training.records),
            "final_loss": {name: last[name] for name in ("loss", "localization", "classification", "regularization")},
            "eval": metrics,
        },
    )


def _evaluate(request, training, weights, rewrite):
    """mAP and mAP@0.5 on the evaluation split; None where the toolchain has no pycocotools (verify measures anyway)."""
    if evaluation is None:
        return None
    contract.emit("progress", stage="evaluating", step=0, steps=1)
    truth = contract.read_json(contract.input_path(request, "data", "eval.json"))
    held_out = records_module.read(contract.input_path(request, "data", "eval.tfrecord"))
    found = evaluation.evaluate(
        training.model, training.classes, weights, held_out, truth, request.threads, rewrite=rewrite
    )
    contract.emit("progress", stage="evaluating", step=1, steps=1)
    contract.emit("message", text="evaluation split: mAP %.3f, mAP@0.5 %.3f" % (found["map"], found["map50"]))
    return {name: found[name] for name in ("map", "map50")}


class Training(object):
    """One training, from its request to the final weights.

    ``params``: the manifest's ``train`` section. ``first``: a function of the network's shapes by name and the names
    of the trained variables that gives the arrays to begin with, by name. ``rewrite``: see ``graph.TrainingGraph``;
    batch norm then stays as ``first`` gives it.
    """

    def __init__(self, request, params, first=None, rewrite=None):
        self.model, self.classes, self._params = request.params["model"], request.params["classes"], params
        self.steps = self._params["steps"]
        self.rows = []
        self._first, self._rewrite = first, rewrite
        self._threads = request.threads
        # Without kernels the number of threads decides bits that the key does not tell apart.
        self._identity = [request.step, request.key, None if kernels.loaded() else request.threads]
        self._scratch = contract.output_path(request, contract.SCRATCH)
        contract.emit("message", text="reading the training pictures")
        self.records = records_module.read(contract.input_path(request, "data", "train.tfrecord"))
        self._pictures = records_module.Pictures(self.records)
        self._stream = batches.Stream(
            self.records, self._pictures, self._params["batch_size"], self._params["seed"], self._params["augmentation"]
        )

    def run(self):
        """Trains from the newest checkpoint, or from the start; returns the final weights by name."""
        self._checkpoints = checkpoints.Checkpoints(self._scratch, self._identity)
        start = self._checkpoints.latest() or checkpoints.Checkpoint(0, None, [])
        if start.step:
            contract.emit("message", text="going on from step %d" % start.step)
        narrator = narration.Narration(
            self.steps, self._params["batch_size"], os.path.join(self._scratch, "events"), start.step, start.rows
        )
        state, weights, begun = start.state, None, False
        stretches = phases.plan(self.model, self._params)
        for phase in stretches:
            final = phase is stretches[-1]
            if phase.last <= start.step and not final:
                continue
            built = graph_module.TrainingGraph(
                dict(self.model, input_shape=phase.input_shape),
                self.classes,
                self._params["optimizer"],
                self._params["seed"],
                self._rewrite,
            )
            with built.session(self._threads) as session:
                if self._first is not None and not begun:
                    # Also where a checkpoint of this training goes on: what it began with belongs to the result.
                    first, begun = self._first(built.shapes, built.trainable), True
                    if state is None:
                        built.begin(session, first)
                if state is not None:
                    built.restore(session, state)
                self._steps(built, session, range(max(phase.first, start.step), phase.last), narrator)
                state = built.state(session)
                if final:
                    weights = self._finished(built, session)
        narrator.close()
        self._checkpoints.close()
        self.rows = narrator.rows
        return weights

    def _steps(self, built, session, numbers, narrator):
        anchors = built.anchors(session)
        narrator.resumed_clock()

        def make(number):
            return built.feed(self._stream.batch(number, built.size), anchors)

        for number, feed in zip(numbers, batches.prefetch(make, numbers)):
            rate = schedule.learning_rate(self._params["learning_rate"], number, self.steps)
            feed[built.learning_rate] = rate
            loss, losses = session.run([built.loss, built.losses, built.update], feed)[:2]
            done = number + 1
            divergence.check_loss(loss, done, rate)
            narrator.step(done, float(loss), {name: float(value) for name, value in losses.items()}, rate)
            if done % self._params["checkpoint_every"] == 0 or done == self.steps:
                narrator.flush()
                self._checkpoints.save(checkpoints.Checkpoint(done, built.state(session), narrator.rows))

    def _finished(self, built, session):
        """The weights by name, with their batch-norm averages measured."""
        weights = session.run(built.weights)
        if self._rewrite is None:
            contract.emit("message", text="measuring batch-norm averages")
            weights.update(batchnorm.averages(built, session, self._calm_batches(built.size)))
        divergence.check_weights(weights, self.steps)
        return weights

    def _calm_batches(self, size):
        """The first training pictures as evaluation sees them, in batches of the training's size."""
        batch_size = self._params["batch_size"]
        for first in range(0, min(len(self.records), AVERAGED_PICTURES), batch_size):
            indices = [index % len(self.records) for index in range(first, first + batch_size)]
            yield batches.whole(self.records, self._pictures, indices, size)


def _save_weights(prefix, weights):
    """A TensorFlow checkpoint of the weights alone (.index and .data; no .meta, whose bytes are not stable)."""
    with tf.Graph().as_default():
        held = dict(weights, global_step=np.int64(0))  # The API's exporters look for a global step.
        variables = {
            name: tf.compat.v1.get_variable(name, initializer=tf.constant(held[name])) for name in sorted(held)
        }
        saver = tf.compat.v1.train.Saver(variables)
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            saver.save(session, prefix, write_meta_graph=False, write_state=False)
