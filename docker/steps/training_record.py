"""training.json: how a training went, in few enough points to be drawn."""

import json

import contract

FORMAT = 1

POINTS = 250
"""Points of a curve at most."""

CURVES = ("loss", "learning_rate", "localization", "classification", "regularization", "map", "map50")
"""Names in metrics.jsonl. The last two are there only for the steps after which the training looked."""


def document(stages):
    """The body of training.json. ``stages``: [(name of the step, its summary.json, rows of its metrics.jsonl)]."""
    return {"format": FORMAT, "stages": [_stage(*stage) for stage in stages]}


def read(request, name):
    """(summary.json, rows of metrics.jsonl) of the training in the input folder ``name``."""
    summary = contract.read_json(contract.input_path(request, name, "summary.json"))
    with open(contract.input_path(request, name, "metrics.jsonl"), encoding="utf-8") as stream:
        return summary, [json.loads(line) for line in stream]


def thinned(points, most=POINTS):
    """At most ``most`` (two or more) of ``points``, spread evenly over them, the first and the last always among them.

    Points are taken as they are: a mean of neighbours would hide how much a loss jumps.
    """
    last = len(points) - 1
    if last < most:
        return list(points)
    return [points[place * last // (most - 1)] for place in range(most)]


def _stage(step, summary, rows):
    curves = {name: [[row["step"], _short(row[name])] for row in rows if name in row] for name in CURVES}
    return {
        "step": step,
        "steps": summary["steps"],
        "weights_of_step": summary["weights_of_step"],
        "curves": {name: thinned(points) for name, points in curves.items() if points},
    }


def _short(value):
    """Six significant digits: more than can be drawn."""
    return float("%.6g" % value)
