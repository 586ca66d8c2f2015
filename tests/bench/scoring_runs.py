"""What a training of ``training_runs.py`` came to, at each of its checkpoints: ``scoring_runs.py FOLDER OUT SETTINGS``.

The last line of standard output is a JSON list of objects: ``step``, ``map`` and ``map50`` on the evaluation split
with batch-norm averages measured on the training pictures, and, for model_main, ``as_is``: the same two with its own.
"""

import json  # noqa: I001  (train comes first of its own: it sets TensorFlow up)
import os
import sys

import train  # noqa: F401

import batches
import batchnorm
import coco_metrics
import contract
import evaluation
import graph
import kernels
import records as records_module
import training
import training_runs
from tf1 import tf


def main(folder, out, settings):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    if not os.path.isdir(os.path.join(out, "model")):
        with open(os.path.join(out, "metrics.jsonl")) as stream:
            rows = [json.loads(line) for line in stream]
        print(json.dumps([{name: row[name] for name in ("step", "map", "map50")} for row in rows if "map" in row]))
        return
    contract.emit = lambda *args, **detail: None
    kernels.load("x86-64-v3", 2)
    print(json.dumps(list(checkpoints(folder, os.path.join(out, "model"), settings))))


def checkpoints(folder, model_folder, settings):
    model, learnt = training_runs.network(settings), records_module.read(os.path.join(folder, "train.tfrecord"))
    held_out = records_module.read(os.path.join(folder, "eval.tfrecord"))
    truth = contract.read_json(os.path.join(folder, "eval.json"))
    truth["categories"][0]["name"] = "thing"
    pictures, shown = records_module.Pictures(learnt), records_module.Pictures(held_out)
    built = graph.TrainingGraph(model, ["thing"], training_runs.recipe(settings))
    numbers = sorted(
        int(name.split("-")[1].split(".")[0]) for name in os.listdir(model_folder) if name.endswith(".index")
    )
    with evaluation.Evaluator(model, ["thing"]) as evaluator, built.session() as session:

        def score(weights):
            answers = evaluator.answers(weights, held_out, shown)
            found = coco_metrics.score(truth, [record.identity for record in held_out], answers)
            return {"map": found["map"], "map50": found["map50"]}

        for number in (number for number in numbers if number):
            reader = tf.compat.v1.train.NewCheckpointReader(os.path.join(model_folder, "model.ckpt-%d" % number))
            weights = {name: reader.get_tensor(name) for name in built.weights}
            as_is = score(weights)
            built.begin(session, weights)
            calm = batches.calm(learnt, pictures, settings["batch"], built.size, training.AVERAGED_PICTURES)
            weights.update(batchnorm.averages(built, session, calm))
            yield dict(score(weights), step=number, as_is=as_is)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
