"""What of a network a checkpoint covers: one table instead of a screen of warnings. Pure: names and shapes."""

import collections
import re

import slicing

RESTORED, SLICED, RESHAPED, MISSING = "restored", "sliced", "re-initialised", "missing"
STATES = (RESTORED, SLICED, RESHAPED, MISSING)

_SLOT = re.compile(r"(.*/(Momentum|RMSProp|RMSProp_1|Adam|Adam_1|ExponentialMovingAverage)|global_step|beta\d_power)$")


def compare(shapes, available, sliced):
    """[{"name", "shape", "state", "found"}] for each variable of the network, in its order.

    ``shapes``: name -> tuple of the network; ``available``: canonical name -> tuple of the checkpoint; ``sliced``:
    canonical names that slicing gives.
    """
    rows = []
    for name in shapes:
        key, shape = slicing.canonical(name), tuple(shapes[name])
        found = available.get(key)
        if found is None:
            state = MISSING
        elif tuple(found) == shape:
            state = RESTORED
        else:
            state = SLICED if key in sliced else RESHAPED
        rows.append(
            {"name": name, "shape": list(shape), "state": state, "found": None if found is None else list(found)}
        )
    return rows


def unused(shapes, names):
    """How many of the checkpoint's variables the network has no place for; slots of optimisers do not count."""
    wanted = {slicing.canonical(name) for name in shapes}
    return sum(1 for name in names if slicing.canonical(name) not in wanted and not _SLOT.match(name))


def share(rows, trainable):
    """The share of the trainable parameters that the checkpoint gives, restored or sliced: 0 to 1."""
    sizes = parameters([row for row in rows if row["name"] in trainable])
    return (sizes[RESTORED] + sizes[SLICED]) / float(max(1, sum(sizes.values())))


def parameters(rows):
    """State -> the number of parameters (batch-norm averages among them) in it."""
    sizes = dict.fromkeys(STATES, 0)
    for row in rows:
        sizes[row["state"]] += _size(row["shape"])
    return sizes


def table(rows):
    """The summary as lines: a layer each, with the number of variables in each state; then totals.

    Layers in a row whose variables are all in the same state share a line.
    """
    lines = []
    for layer in _layers(rows):
        same = lines and len(layer["states"]) == 1 and layer["states"].keys() == lines[-1]["states"].keys()
        if same:
            lines[-1]["last"] = layer["last"]
            lines[-1]["states"].update(layer["states"])
        else:
            lines.append(layer)
    named = [
        (line["first"] if line["first"] == line["last"] else "%s .. %s" % (line["first"], line["last"]), line["states"])
        for line in lines
    ]
    named.append(("variables", collections.Counter(row["state"] for row in rows)))
    named.append(("parameters", parameters(rows)))
    width = max(len(name) for name, _ in named)
    head = "%-*s  %s" % (width, "", "  ".join("%14s" % state for state in STATES))
    return [head] + [
        "%-*s  %s" % (width, name, "  ".join("%14s" % (counts[state] or "-") for state in STATES))
        for name, counts in named
    ]


def _layers(rows):
    """[{"first": layer, "last": the same, "states": Counter}] in the order of ``rows``."""
    layers = collections.OrderedDict()
    for row in rows:
        layers.setdefault(_layer(row["name"]), collections.Counter())[row["state"]] += 1
    return [{"first": name, "last": name, "states": states} for name, states in layers.items()]


def _layer(name):
    parts = name.split("/")
    return parts[2] if parts[0] == "FeatureExtractor" and len(parts) > 2 else parts[0]


def _size(shape):
    size = 1
    for side in shape:
        size *= side
    return size
