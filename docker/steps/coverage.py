"""What of a network a checkpoint covers: one table instead of a screen of warnings. Pure: names and shapes."""

import re

import slicing

RESTORED, SLICED, RESHAPED, MISSING = "restored", "sliced", "re-initialised", "missing"
STATES = (RESTORED, SLICED, RESHAPED, MISSING)

_SLOT = re.compile(r"(.*/(Momentum|RMSProp|RMSProp_1|Adam|Adam_1|ExponentialMovingAverage)|global_step|beta\d_power)$")


def compare(shapes, available, sliced):
    """[{"name", "shape", "state", "found"}] for each variable of the network, by name.

    ``shapes``: name -> tuple of the network; ``available``: canonical name -> tuple of the checkpoint; ``sliced``:
    canonical names that slicing gives.
    """
    rows = []
    for name in sorted(shapes):
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
    sizes = dict.fromkeys(STATES, 0)
    for row in rows:
        if row["name"] in trainable:
            sizes[row["state"]] += _size(row["shape"])
    return (sizes[RESTORED] + sizes[SLICED]) / float(max(1, sum(sizes.values())))


def table(rows):
    """The summary as lines: a layer group each, with the number of variables in each state."""
    groups = {}
    for row in rows:
        groups.setdefault(_group(row["name"]), dict.fromkeys(STATES, 0))[row["state"]] += 1
    width = max([len(group) for group in groups] + [len("layers")])
    head = "%-*s  %s" % (width, "layers", "  ".join("%14s" % state for state in STATES))
    lines = [head]
    for group, counts in _merged(groups):
        lines.append("%-*s  %s" % (width, group, "  ".join("%14s" % (counts[state] or "") for state in STATES)))
    return lines


def _group(name):
    parts = name.split("/")
    if parts[0] == "FeatureExtractor" and len(parts) > 2:
        return "/".join(parts[1:3])
    return parts[0]


def _merged(groups):
    """Groups in the order of their layers."""
    return sorted(groups.items(), key=lambda item: [int(part) if part.isdigit() else part for part in _split(item[0])])


def _split(text):
    # Words and numbers alternate, so that expanded_conv_2 comes before expanded_conv_10.
    return re.split(r"(\d+)", text)


def _size(shape):
    size = 1
    for side in shape:
        size *= side
    return size
