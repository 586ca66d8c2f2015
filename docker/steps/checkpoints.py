"""Checkpoints of a running training: written atomically, read back with proof that they are whole.

One file holds everything that the next step depends on, so a training that was killed ends with the same bits
as one that was not. The file is a zip of arrays (numpy's npz) with its own sha256 in front.
"""

import collections
import hashlib
import io
import json
import os
import re

import numpy as np

# step: how many steps are done. state: variable name -> array. rows: the lines of metrics.jsonl so far. looks: what the
# training was seen to do (watch.Look). best: the weights that were best so far, name -> array, or None.
Checkpoint = collections.namedtuple("Checkpoint", ["step", "state", "rows", "looks", "best"])
Checkpoint.__new__.__defaults__ = ((), None)

KEPT = 2
_NAME = re.compile(r"step-(\d{8})\.checkpoint")
_DIGEST_SIZE = 32


def save(folder, checkpoint):
    """Writes the checkpoint into ``folder`` (made if absent) and deletes all but the newest KEPT."""
    os.makedirs(folder, exist_ok=True)
    packed = io.BytesIO()
    about = {"step": checkpoint.step, "rows": checkpoint.rows, "looks": list(checkpoint.looks)}
    about = json.dumps(dict(about, best=checkpoint.best is not None), sort_keys=True).encode()
    arrays = {"v/" + name: value for name, value in checkpoint.state.items()}
    arrays.update(("b/" + name, value) for name, value in (checkpoint.best or {}).items())
    np.savez(packed, about=np.frombuffer(about, np.uint8), **arrays)
    data = packed.getvalue()
    path = os.path.join(folder, "step-%08d.checkpoint" % checkpoint.step)
    with open(path + ".tmp", "wb") as stream:
        stream.write(hashlib.sha256(data).digest() + data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(path + ".tmp", path)
    _sync(folder)
    for _, old in _found(folder)[KEPT:]:
        os.unlink(old)


def latest(folder):
    """The newest whole Checkpoint of ``folder``, or None. Broken ones are passed over."""
    for _, path in _found(folder):
        checkpoint = _read(path)
        if checkpoint is not None:
            return checkpoint
    return None


def _found(folder):
    """(step, path) of the files that look like checkpoints, newest first."""
    if not os.path.isdir(folder):
        return []
    matches = [_NAME.fullmatch(name) for name in os.listdir(folder)]
    found = [(int(match.group(1)), os.path.join(folder, match.group(0))) for match in matches if match]
    return sorted(found, reverse=True)


def _read(path):
    with open(path, "rb") as stream:
        digest, data = stream.read(_DIGEST_SIZE), stream.read()
    if hashlib.sha256(data).digest() != digest:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes().decode())
        state, best = (
            {name[2:]: arrays[name] for name in arrays.files if name.startswith(kind)} for kind in ("v/", "b/")
        )
    return Checkpoint(about["step"], state, about["rows"], about["looks"], best if about["best"] else None)


def _sync(folder):
    """Makes a rename in ``folder`` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
