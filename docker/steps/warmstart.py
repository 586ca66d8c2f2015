"""Weights to begin a training with: out of a release of ours, or any TensorFlow 1 checkpoint of this network.

The checkpoint is untrusted: TensorFlow reads it in a child process, which may crash on it, and hands over plain arrays.
"""

import json
import os
import subprocess
import sys
import tempfile

import contract
import coverage
import numpy as np
import slicing

LARGEST = 4 << 30
SECONDS = 300
_AVERAGE = "/ExponentialMovingAverage"
_HELP = "init.checkpoint names a TensorFlow 1 checkpoint: NAME.index and NAME.data-…"


def weights(request, init, shapes, trainable):
    """The arrays to begin with, by the network's names. Tells what is covered, and writes coverage.json.

    ``init``: the manifest's ``train.init``; ``shapes``: name -> shape of the network's variables; ``trainable``: the
    names of those that are trained. Failure ``init-…`` if the checkpoint cannot be read or covers less than
    ``init.min_coverage`` of the trainable parameters.
    """
    found = _averaged(_read(_prefix(request.inputs["init"], init.get("file"))))
    wanted = {slicing.canonical(name): tuple(shape) for name, shape in shapes.items()}
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
            taken[row["name"]] = found[key].astype(np.float32)
        elif row["state"] == coverage.SLICED:
            taken[row["name"]] = sliced[key].astype(np.float32)
    return taken


def _tell(request, rows, covered, unused):
    counts = {state: sum(row["state"] == state for row in rows) for state in coverage.STATES}
    for line in coverage.table(rows):
        contract.emit("message", text=line)
    contract.emit(
        "message",
        text="starting from %.1f%% of the parameters: %s; %d variables of the checkpoint unused"
        % (100 * covered, ", ".join("%d %s" % (counts[state], state) for state in coverage.STATES), unused),
    )
    contract.write_json(
        contract.output_path(request, "coverage.json"),
        {"covered": round(covered, 6), "counts": counts, "unused": unused, "variables": rows},
    )


def _prefix(folder, file):
    """The path of the one checkpoint in ``folder``, or of the one called ``file``, without .index."""
    found = []
    for place, folders, names in os.walk(folder):
        folders.sort()
        found += [os.path.join(place, name)[: -len(".index")] for name in sorted(names) if name.endswith(".index")]
    named = {os.path.relpath(path, folder).replace(os.sep, "/"): path for path in found}
    if file is not None:
        if file not in named:
            raise contract.Failure(
                "init-checkpoint", "there is no checkpoint %s" % file, "there are: %s" % (", ".join(named) or "none")
            )
        return named[file]
    if len(named) != 1:
        raise contract.Failure(
            "init-checkpoint",
            "there are %d checkpoints%s" % (len(named), ": " + ", ".join(sorted(named)[:10]) if named else ""),
            "name one as init.file" if named else _HELP,
        )
    return found[0]


def _read(prefix):
    """Every float variable of the checkpoint, canonical name -> array."""
    size = sum(
        os.path.getsize(os.path.join(os.path.dirname(prefix), name))
        for name in os.listdir(os.path.dirname(prefix))
        if name.startswith(os.path.basename(prefix) + ".")
    )
    if size > LARGEST:
        raise contract.Failure(
            "init-checkpoint", "the checkpoint has %d bytes, %d are the most" % (size, LARGEST), _HELP
        )
    with tempfile.TemporaryDirectory() as scratch:
        target = os.path.join(scratch, "arrays.npz")
        try:
            child = subprocess.run(
                [sys.executable, os.path.abspath(__file__), prefix, target],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=SECONDS,
            )
            said = json.loads(child.stdout.decode().splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError):
            raise contract.Failure("init-checkpoint", "TensorFlow cannot read the checkpoint: it died on it", _HELP)
        if said:
            raise contract.Failure("init-checkpoint", "TensorFlow cannot read the checkpoint: %s" % said, _HELP)
        with np.load(target, allow_pickle=False) as arrays:
            found = {name: arrays["v%d" % number] for number, name in enumerate(json.loads(arrays["names"].item()))}
    broken = sorted(name for name, array in found.items() if not np.isfinite(array).all())
    if broken:
        raise contract.Failure("init-checkpoint", "%s holds numbers that are not finite" % broken[0], _HELP)
    return {slicing.canonical(name): array for name, array in found.items()}


def _averaged(found):
    """``found`` with the moving averages of variables in place of the variables, where the checkpoint has them."""
    averages = {name[: -len(_AVERAGE)]: array for name, array in found.items() if name.endswith(_AVERAGE)}
    return dict({name: array for name, array in found.items() if not name.endswith(_AVERAGE)}, **averages)


def _dump(prefix, target):
    """In the child: writes the checkpoint's float variables to ``target``; returns what went wrong, or nothing."""
    from tf1 import tf

    try:
        reader = tf.compat.v1.train.NewCheckpointReader(prefix)
        types = reader.get_variable_to_dtype_map()
        names = sorted(name for name, kind in types.items() if kind in (tf.float32, tf.float64, tf.float16))
        arrays = {"v%d" % number: np.asarray(reader.get_tensor(name)) for number, name in enumerate(names)}
    except Exception as error:  # whatever a hostile file brings TensorFlow to raise
        return (str(error).splitlines() or [type(error).__name__])[0][:200]
    np.savez(target, names=np.array(json.dumps(names)), **arrays)
    return ""


if __name__ == "__main__":
    print(json.dumps(_dump(sys.argv[1], sys.argv[2])))
