"""Weights to begin a training with: out of a release of ours, or any TensorFlow 1 checkpoint of this network."""

import os
import posixpath

import contract
import coverage
import foreign_checkpoint
import slicing

_HELP = "init.checkpoint names a TensorFlow 1 checkpoint: NAME.index and NAME.data-…"


def weights(request, init, shapes, trainable):
    """The arrays to begin with, by the network's names. Tells what is covered, and writes coverage.json.

    ``init``: the manifest's ``train.init``; ``shapes``: name -> shape of the network's variables; ``trainable``: the
    names of those that are trained. Failure ``init-…`` if the checkpoint cannot be read or covers less than
    ``init.min_coverage`` of the trainable parameters.
    """
    wanted = {slicing.canonical(name): tuple(shape) for name, shape in shapes.items()}
    found = foreign_checkpoint.read(_prefix(request.inputs["init"], init["file"]), wanted)
    sliced = {}
    if init["slice"]:
        sliced = slicing.slice_all(found, wanted)
    rows = coverage.compare(shapes, {name: array.shape for name, array in found.items()}, set(sliced))
    covered = coverage.share(rows, trainable)
    _tell(request, rows, covered, coverage.unused(shapes, found))
    if covered < init["min_coverage"]:
        raise contract.Failure(
            "init-coverage",
            "the checkpoint covers %.1f%% of the network's parameters, init.min_coverage asks for %.1f%%"
            % (100 * covered, 100 * init["min_coverage"]),
            "another depth_multiplier or architecture fits it, or set init.slice for a wider checkpoint; "
            "the table above says what does not fit",
        )
    taken = {}
    for row in rows:
        key = slicing.canonical(row["name"])
        if row["state"] == coverage.RESTORED:
            taken[row["name"]] = found[key]
        elif row["state"] == coverage.SLICED:
            taken[row["name"]] = sliced[key]
    return taken


def _tell(request, rows, covered, unused):
    counts = {state: sum(row["state"] == state for row in rows) for state in coverage.STATES}
    for line in coverage.table(rows):
        contract.emit("message", text=line)
    text = "starting from %.1f%% of the trained parameters; %d variables of the checkpoint unused"
    contract.emit("message", text=text % (100 * covered, unused))
    contract.write_json(
        contract.output_path(request, "coverage.json"),
        {
            "covered": round(covered, 6),
            "variables": counts,
            "parameters": coverage.parameters(rows),
            "unused": unused,
            "each": rows,
        },
    )


def _prefix(folder, file):
    """The path of the one checkpoint in ``folder``, or of the one called ``file``, without .index."""
    named = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            # A link may lead out of the source.
            if name.endswith(".index") and os.path.isfile(path) and not os.path.islink(path):
                prefix = path[: -len(".index")]
                named[os.path.relpath(prefix, folder).replace(os.sep, "/")] = prefix
    there = ", ".join(sorted(named)[:10])
    if file is not None:
        wanted = posixpath.normpath(file)
        wanted = wanted[: -len(".index")] if wanted.endswith(".index") else wanted
        for name in (wanted, wanted + ".ckpt"):
            if name in named:
                return named[name]
        raise contract.Failure(
            "init-checkpoint", "there is no checkpoint %s" % file, "there are: %s" % (there or "none")
        )
    if len(named) != 1:
        raise contract.Failure(
            "init-checkpoint",
            "there are %d checkpoints%s" % (len(named), ": " + there if named else ""),
            "name one as init.file" if named else _HELP,
        )
    return list(named.values())[0]
