"""Reads a TensorFlow 1 checkpoint that may be damaged or made to do harm.

TensorFlow reads it in a child process, which may crash on it, and hands over plain arrays.
"""

import functools
import json
import os
import resource
import subprocess
import sys
import tempfile

import contract
import numpy as np
import slicing

LARGEST = 4 << 30
"""Bytes of a checkpoint, on disk and unpacked."""

SECONDS = 300
_AVERAGE = "/ExponentialMovingAverage"
_FLOATS = ("float16", "float32", "float64")
# Checkpoints of slim's classifiers have the backbone by itself.
_CLASSIFIER, _BACKBONE = "MobilenetV2/", "FeatureExtractor/MobilenetV2/"


def read(prefix, wanted):
    """The float variables of the checkpoint ``prefix`` (path without .index), canonical name -> float32 array.

    Where the checkpoint has a variable's moving average, as the API's trainings leave it, that is taken in its place:
    the API evaluates it. A classifier's backbone comes by a detector's names. Failure ``init-checkpoint`` if it cannot
    be read, or has one of the ``wanted`` names with another type of number or with numbers that are not finite.
    """
    folder, start = os.path.dirname(prefix), os.path.basename(prefix) + "."
    size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder) if name.startswith(start))
    if size > LARGEST:
        raise _failure("the checkpoint has %d bytes, %d are the most" % (size, LARGEST))
    with tempfile.TemporaryDirectory() as scratch:
        target = os.path.join(scratch, "arrays.npz")
        types = _types(prefix, target)
        with np.load(target, allow_pickle=False) as arrays:
            floats = [name for name in sorted(types) if types[name] in _FLOATS]
            with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused below
                found = {name: arrays["v%d" % n].astype(np.float32) for n, name in enumerate(floats)}
    found, types = _averaged(_at_home(found)), _at_home(types)
    for name in sorted(wanted):
        if name in types and name not in found:
            raise _failure("%s holds %s, not floats" % (name, types[name]))
        if name in found and not np.isfinite(found[name]).all():
            raise _failure("%s holds numbers that are not finite" % name)
    return found


def _failure(text):
    return contract.Failure("init-checkpoint", text, "init.checkpoint needs a whole TensorFlow 1 checkpoint")


def _at_home(variables):
    """``variables`` by canonical name, a classifier's backbone where a detector has it."""
    found = {}
    for name, value in variables.items():
        name = slicing.canonical(name)
        found[_BACKBONE + name[len(_CLASSIFIER) :] if name.startswith(_CLASSIFIER) else name] = value
    return found


def _averaged(found):
    """``found`` with the moving averages of variables in place of the variables, where the checkpoint has them."""
    averages = {name[: -len(_AVERAGE)]: array for name, array in found.items() if name.endswith(_AVERAGE)}
    return dict({name: array for name, array in found.items() if not name.endswith(_AVERAGE)}, **averages)


def _types(prefix, target):
    """The types of the variables by name; a child writes the floats, in the order of names, to ``target``."""
    try:
        child = subprocess.run(
            [sys.executable, os.path.abspath(__file__), prefix, target],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
        )
        said = json.loads(child.stdout.decode().splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise _failure("TensorFlow does not read the checkpoint within %d s" % SECONDS)
    except (ValueError, IndexError):
        raise _failure("TensorFlow cannot read the checkpoint: it died on it")
    if "wrong" in said:
        wrong = said["wrong"].replace(os.path.dirname(prefix) + os.sep, "")
        raise _failure("TensorFlow cannot read the checkpoint: %s" % wrong)
    return said["types"]


def _dump(prefix, target):
    """In the child: writes the float variables to ``target``; returns {"types"} of all, or {"wrong"}."""
    from tf1 import tf

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Many names can point at the same bytes: nothing larger than the limit is unpacked.
    resource.setrlimit(resource.RLIMIT_AS, (4 * LARGEST, 4 * LARGEST))
    try:
        reader = tf.compat.v1.train.NewCheckpointReader(prefix)
        shapes = reader.get_variable_to_shape_map()
        types = {name: kind.name for name, kind in reader.get_variable_to_dtype_map().items()}
        floats = sorted(name for name in types if types[name] in _FLOATS)
        unpacked = sum(functools.reduce(int.__mul__, map(int, shapes[name]), 8) for name in floats)
        if unpacked > LARGEST:
            return {"wrong": "its variables would have %d bytes, %d are the most" % (unpacked, LARGEST)}
        np.savez(target, **{"v%d" % n: np.asarray(reader.get_tensor(name)) for n, name in enumerate(floats)})
    except Exception as error:  # whatever a hostile file brings TensorFlow to raise
        return {"wrong": (str(error).splitlines() or [type(error).__name__])[0][:200]}
    return {"types": types}


if __name__ == "__main__":
    print(json.dumps(_dump(sys.argv[1], sys.argv[2])))
