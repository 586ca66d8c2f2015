"""Trains the network of a manifest on the records of ingest.

Its own loop instead of the API's Estimator: seeded, resumable after a kill at any moment with the same bits at
the end, and never silent. Writes model.ckpt (weights, batch-norm averages measured on training pictures),
metrics.jsonl, a TensorBoard file, looks.png and summary.json; running state and live TensorBoard files are in
checkpoints/.
"""

import os
import warnings

# Before TensorFlow starts: its allocator otherwise gives every large buffer back and faults it in again.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
warnings.simplefilter("ignore")

import contract  # noqa: E402
import drawing  # noqa: E402
import kernels  # noqa: E402
import narration  # noqa: E402
import numpy as np  # noqa: E402
import records as records_module  # noqa: E402
import training  # noqa: E402
import validation  # noqa: E402
import warmstart  # noqa: E402
from tensorflow.python.ops import io_ops  # noqa: E402
from tf1 import tf  # noqa: E402

try:
    import coco_metrics
    import evaluation
    import watch
except ImportError:  # a toolchain without pycocotools
    coco_metrics = evaluation = watch = None

# TensorBoard reads a folder's files with "tfevents" in their names.
EVENTS = "events.out.tfevents.0.tinsmith"


def main(request):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    params = request.params["train"]
    if not kernels.load(request.params["cpu_class"], request.threads):
        contract.emit("message", text="no training kernels in this toolchain: TensorFlow's own operations, slower")

    def first(shapes, trainable):
        return warmstart.weights(request, params["init"], shapes, trainable)

    contract.emit("message", text="reading the training pictures")
    records = _read(request, "train.tfrecord")
    records, held = _held(request, records, params)
    begun = None if params["init"]["type"] == "none" else first
    finish(request, training.Training(request, params, records, begun, held=held))


def finish(request, trained, rewrite=None):
    """Runs the Training ``trained`` and writes all that is left of it; ``rewrite`` as for ``evaluation.Evaluator``."""
    weights = trained.run()
    metrics = _evaluate(request, trained, weights, rewrite)
    picture = trained.watch and trained.watch.looks and drawing.png(trained.watch.picture())
    if picture:
        with open(contract.output_path(request, "looks.png"), "wb") as stream:
            stream.write(picture)
    narration.write_rows(contract.output_path(request, "metrics.jsonl"), trained.rows)
    narration.write_events(contract.output_path(request, "tensorboard", EVENTS), trained.rows, picture or None)
    _save_weights(contract.output_path(request, "model.ckpt"), weights)
    last = trained.rows[-1]
    contract.write_json(
        contract.output_path(request, "summary.json"),
        {
            "steps": last["step"],
            "weights_of_step": (trained.watch and trained.watch.best_step()) or last["step"],
            "pictures": len(trained.records),
            "final_loss": {name: last[name] for name in ("loss", "localization", "classification", "regularization")},
            "eval": metrics,
        },
    )


def _read(request, name):
    return records_module.read(contract.input_path(request, "data", name))


def _held(request, records, params):
    """(the records to train on, the watch.Held to watch by): pictures held out of training, or of the evaluation split.

    The latter only show how it goes: nothing is chosen by them.
    """
    if params["validation"] is not None:
        if watch is None:
            raise contract.Failure(
                "no-metrics",
                "this toolchain has no pycocotools, which train.validation needs",
                help="toolchain: tf1.15",
            )
        records, out = validation.split(records, params["validation"]["share"], params["seed"])
        pictures = records_module.Pictures(out)
        truth = validation.ground_truth(out, pictures, request.params["classes"])
        return records, watch.Held(out, pictures, truth, "%d pictures held out of training" % len(out))
    if watch is None:
        return records, None
    shown = _read(request, "eval.tfrecord")[: watch.MOST_PICTURES]
    truth = contract.read_json(contract.input_path(request, "data", "eval.json"))
    wanted = {record.identity for record in shown}
    truth["images"] = [image for image in truth["images"] if image["id"] in wanted]
    truth["annotations"] = [row for row in truth["annotations"] if row["image_id"] in wanted]
    if not truth["annotations"]:
        return records, None
    named = "%d pictures of the evaluation split" % len(shown)
    return records, watch.Held(shown, records_module.Pictures(shown), truth, named)


def _evaluate(request, trained, weights, rewrite):
    """mAP and mAP@0.5 on the evaluation split; None where the toolchain has no pycocotools (verify measures anyway)."""
    if evaluation is None:
        return None
    contract.emit("progress", stage="evaluating", step=0, steps=1)
    truth = contract.read_json(contract.input_path(request, "data", "eval.json"))
    held_out = _read(request, "eval.tfrecord")
    with trained.evaluator(rewrite) as evaluator:
        answers = evaluator.answers(weights, held_out, records_module.Pictures(held_out))
    found = coco_metrics.score(truth, [record.identity for record in held_out], answers)
    contract.emit("progress", stage="evaluating", step=1, steps=1)
    contract.emit("message", text="evaluation split: mAP %.3f, mAP@0.5 %.3f" % (found["map"], found["map50"]))
    return {name: found[name] for name in ("map", "map50")}


def _save_weights(prefix, weights):
    """A TensorFlow checkpoint of the weights alone (.index and .data; no .meta, whose bytes are not stable)."""
    held = dict(weights, global_step=np.int64(0))  # The API's exporters look for a global step.
    names = sorted(held)
    with tf.Graph().as_default():
        save = io_ops.save_v2(prefix, names, [""] * len(names), [tf.constant(held[name]) for name in names])
        with tf.compat.v1.Session() as session:
            session.run(save)
