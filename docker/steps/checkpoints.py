"""Checkpoints of a running training: written atomically, read back with proof that they are whole.

One file holds everything that the next step depends on, so a training that was killed ends with the same bits
as one that was not. The file is a zip of arrays (numpy's npz) with its own sha256 in front.
"""

import collections
import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import time
import zipfile

import contract
import numpy as np

# step: how many steps are done. state: variable name -> array. rows: the lines of metrics.jsonl so far. looks: what the
# training was seen to do (watch.Look). best: the weights that were best so far, name -> array, or None.
Checkpoint = collections.namedtuple("Checkpoint", ["step", "state", "rows", "looks", "best"])
Checkpoint.__new__.__defaults__ = ((), None)

KEPT = 2
_NAME = re.compile(r"step-(\d{8})\.checkpoint")
# One name for all, so that writers that are killed leave one such file at the most.
_UNFINISHED = "unfinished.tmp"
_DIGEST_SIZE = 32
# How long the process that trained before may take to be gone.
_PATIENCE_SECONDS = 20.0


class Unusable(Exception):
    """Why a file cannot be gone on from."""


class Checkpoints(object):
    """The checkpoints of one training. Its folder (made if absent) is this process's alone until ``close``.

    ``training``: what the bits of the result depend on, as plain data; checkpoints of any other are not used. Failure
    ``training-in-use`` if another process trains there: the container that outlived its engine, for one.
    """

    def __init__(self, folder, training):
        self._folder = folder
        self._training = hashlib.sha256(json.dumps(training, sort_keys=True).encode()).hexdigest()
        os.makedirs(folder, exist_ok=True)
        _sync(os.path.dirname(os.path.abspath(folder)))
        self._handle = os.open(folder, os.O_RDONLY)
        try:
            _lock(self._handle, folder)
        except BaseException:
            self.close()
            raise
        _delete(os.path.join(folder, _UNFINISHED))

    def close(self):
        os.close(self._handle)

    def latest(self):
        """The newest usable Checkpoint, or None. Those that cannot be used are named in a message and deleted."""
        for step, path in self._found():
            try:
                return self._read(step, path)
            except Unusable as reason:
                name = os.path.basename(path)
                contract.emit("message", text="%s cannot be used: %s; looking for the one before" % (name, reason))
                _delete(path)
        return None

    def save(self, checkpoint):
        """Writes ``checkpoint`` and deletes all but the newest KEPT. Failure ``disk-full``: what was there stays."""
        path = os.path.join(self._folder, "step-%08d.checkpoint" % checkpoint.step)
        unfinished = os.path.join(self._folder, _UNFINISHED)
        data = self._packed(checkpoint)
        try:
            with open(unfinished, "wb") as stream:
                stream.write(hashlib.sha256(data).digest())
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(unfinished, path)
            _sync(self._folder)
        except OSError as error:
            _delete(unfinished)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise contract.Failure(
                "disk-full",
                "no room for the checkpoint of step %d (%.1f MB)" % (checkpoint.step, len(data) / 1e6),
                "free some space where the store is and run the same command: it goes on from the checkpoint before",
            )
        for _, old in self._found()[KEPT:]:
            _delete(old)

    def _packed(self, checkpoint):
        """All of a checkpoint's file but the digest, as a buffer."""
        packed = io.BytesIO()
        about = {"training": self._training, "step": checkpoint.step, "rows": checkpoint.rows}
        about.update(looks=list(checkpoint.looks), best=checkpoint.best is not None)
        arrays = {"v/" + name: value for name, value in checkpoint.state.items()}
        arrays.update(("b/" + name, value) for name, value in (checkpoint.best or {}).items())
        np.savez(packed, about=np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8), **arrays)
        return packed.getbuffer()

    def _found(self):
        """(step, path) of what looks like a checkpoint, newest first."""
        matches = [_NAME.fullmatch(name) for name in os.listdir(self._folder)]
        found = [(int(match.group(1)), os.path.join(self._folder, match.group(0))) for match in matches if match]
        return sorted(found, reverse=True)

    def _read(self, step, path):
        try:
            with open(path, "rb") as stream:
                digest, data = stream.read(_DIGEST_SIZE), stream.read()
        except OSError as error:
            raise Unusable("it cannot be read (%s)" % error.strerror)
        if hashlib.sha256(data).digest() != digest:
            raise Unusable("it is damaged")
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                about = json.loads(arrays["about"].tobytes().decode())
                state, best = (
                    {name[2:]: arrays[name] for name in arrays.files if name.startswith(kind)} for kind in ("v/", "b/")
                )
            checkpoint = Checkpoint(
                about["step"], state, about["rows"], about["looks"], best if about["best"] else None
            )
            training = about["training"]
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise Unusable("it has another form (%s)" % error)
        if training != self._training or checkpoint.step != step:
            raise Unusable("it is of another training or step")
        return checkpoint


def _lock(handle, folder):
    """Takes the folder for this process; the kernel gives it back when the process ends, however that happens."""
    deadline = time.time() + _PATIENCE_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return None  # A file system without locks.
        if time.time() > deadline:
            raise contract.Failure(
                "training-in-use",
                "another process trains in %s" % folder,
                "it may be a container of a build that was killed (docker ps): stop it, or wait for its end",
            )
        time.sleep(0.1)


def _delete(path):
    """As far as it can be: a file that stays is passed over again."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        os.unlink(path)


def _sync(folder):
    """Makes a rename in ``folder`` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
