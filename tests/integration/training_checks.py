"""A short training with averaged weights, looks and the best of them kept; then the same again from its middle.

Run by the tf1.15 toolchain's Python with the step code on its path: ``python training_checks.py FOLDER``. The last
line of standard output is a JSON object: ``average``, the largest distance between the averaged weights and their
definition; ``kept`` (step of the released weights), ``looks`` (step and mAP of each), ``same``: the files that the
second run left as the first did; ``messages`` of both.
"""

import json  # noqa: I001  (train comes first of its own: it sets TensorFlow up)
import os
import shutil
import sys

import train  # noqa: F401

import checkpoints
import contract
import drawing
import ingest
import numpy as np
import schedule
from PIL import Image

STEPS, MIDDLE, DECAY = 10, 5, 0.9
CLASSES = ["circle", "square", "triangle"]
MODEL = {
    "architecture": "ssd_mobilenet_v2",
    "depth_multiplier": 0.25,
    "min_depth": 8,
    "input_shape": [96, 96, 3],
    "anchors": {"min_scale": 0.2, "max_scale": 0.95, "aspect_ratios": [1.0, 2.0, 0.5], "reduce_lowest": True},
}
TRAIN = {
    "steps": STEPS,
    "batch_size": 4,
    "seed": 1,
    "init": {"type": "none"},
    "optimizer": {"type": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "learning_rate": {"schedule": "steps", "base": 0.002, "warmup_steps": 2, "drops": [{"step": 6, "factor": 0.1}]},
    "loss": {"type": "mined", "negatives_per_positive": 3, "least_negatives": 3, "localization_weight": 1.0},
    "clip_norm": 0.0,
    "ema": DECAY,
    "validation": {"share": 0.2, "keep": "best", "patience": None},
    "evaluate_every": 2,
    "augmentation": ["horizontal_flip"],
    "checkpoint_every": 1,
    "progressive": None,
}
DATASET = {
    "format": "synthetic",
    "synthetic": {"images": 30, "size": [112, 112], "objects": [1, 2], "seed": 3},
    "classes": CLASSES,
    "split": {"eval": 0.2, "seed": 5},
}


def main(folder):
    said, states = [], {}
    contract.emit = lambda kind, **detail: said.append(detail["text"]) if kind == "message" else None
    # This Pillow's font has Latin letters only; a class may be called anything.
    drawing.draw(Image.new("RGB", (80, 60)), [[1, 1, 50, 50]], [0], [0.9], ["łoś 狸"])
    data = os.path.join(folder, "data")
    os.makedirs(data)
    ingest.main(contract.Request("ingest", {"dataset": DATASET}, {}, data, 1, "n"))
    save = checkpoints.Checkpoints.save

    def watched(self, checkpoint):
        save(self, checkpoint)
        states[checkpoint.step] = checkpoint.state
        if checkpoint.step == MIDDLE:
            shutil.copytree(os.path.join(folder, "whole", contract.SCRATCH), os.path.join(folder, "middle"))

    checkpoints.Checkpoints.save = watched
    whole = trained(os.path.join(folder, "whole"), data)
    apart = distance(states)
    checkpoints.Checkpoints.save = save
    again = os.path.join(folder, "again")
    shutil.copytree(os.path.join(folder, "middle"), os.path.join(again, "checkpoints"))
    second = trained(again, data)
    found = {
        "average": apart,
        "kept": whole["summary.json"]["weights_of_step"],
        "looks": [(row["step"], row["map"]) for row in whole["metrics.jsonl"] if "map" in row],
        "same": [name for name in sorted(whole) if whole[name] == second[name]],
        "messages": said,
    }
    print(json.dumps(found))


def trained(out, data):
    """Name -> content of what one run leaves."""
    params = {"model": MODEL, "classes": CLASSES, "cpu_class": "x86-64-v3", "train": TRAIN}
    train.main(contract.Request("train", params, {"data": data}, out, 1, "n"))
    with open(os.path.join(out, "metrics.jsonl")) as stream:
        rows = [json.loads(line) for line in stream]
    names = ("model.ckpt.data-00000-of-00001", "looks.png", os.path.join("tensorboard", train.EVENTS))
    found = {name: contract.sha256_of(os.path.join(out, name)) for name in names}
    summary = contract.read_json(os.path.join(out, "summary.json"))
    return dict(found, **{"metrics.jsonl": rows, "summary.json": summary})


def distance(states):
    """Of the averages from average += share * (weight - average), as a share of the largest weight."""
    names, worst = [name for name in states[1] if name.endswith("/average")], 0.0
    for step in range(2, STEPS + 1):
        share = schedule.averaging(DECAY, step - 1)
        for name in names:
            before, weight = states[step - 1][name], states[step][name[: -len("/average")]]
            wanted = before + share * (weight - before)
            apart = float(np.abs(wanted - states[step][name]).max() / max(1e-3, np.abs(weight).max()))
            assert np.isfinite(apart), name
            worst = max(worst, apart)
    return worst if names else float("nan")


if __name__ == "__main__":
    main(sys.argv[1])
