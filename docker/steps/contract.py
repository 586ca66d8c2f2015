"""The two sides of a step: what it is asked, what it says while it runs, what it leaves behind.

Events go to standard output, one a line, as RFC 7464 JSON text sequences (a record separator before each),
so that anything else that a library prints there cannot be taken for one.
"""

import collections
import hashlib
import json
import os
import sys

# key: the digest of all that decides the step's output, which names what a stopped run leaves to the next.
Request = collections.namedtuple("Request", ["step", "params", "inputs", "output", "threads", "nonce", "key"])
Request.__new__.__defaults__ = ("",)

RECORD_SEPARATOR = "\x1e"
RESULT = "result.json"
SCRATCH = "checkpoints"


class Failure(Exception):
    """The step cannot go on, for a reason that the user can act on.

    ``code``: ``dataset-…`` for bad data, anything else for a failed step.
    """

    def __init__(self, code, message, help=None):
        super(Failure, self).__init__(message)
        self.code, self.message, self.help = code, message, help


def emit(kind, **detail):
    """Sends one event. Floats must be finite."""
    line = json.dumps(dict(detail, event=kind), sort_keys=True, allow_nan=False)
    sys.stdout.write(RECORD_SEPARATOR + line + "\n")
    sys.stdout.flush()


def input_path(request, name, *parts):
    return os.path.join(request.inputs[name], *parts)


def output_path(request, *parts):
    """A path below the output folder; its parent folders are made."""
    path = os.path.join(request.output, *parts)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder)
    return path


def read_json(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def write_json(path, value):
    """Writes ``value`` in one canonical form: sorted keys, two-space indent, final newline."""
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        stream.write("\n")


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write_result(request):
    """Hashes every file of the output folder into ``result.json``, which is renamed into place."""
    files = []
    for folder, folders, names in os.walk(request.output):
        if folder == request.output:
            folders[:] = [name for name in folders if name != SCRATCH]
        for name in names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, request.output).replace(os.sep, "/")
            if relative != RESULT:
                files.append({"path": relative, "size": os.path.getsize(path), "sha256": sha256_of(path)})
    files.sort(key=lambda item: item["path"])
    temporary = os.path.join(request.output, RESULT + ".tmp")
    write_json(temporary, {"nonce": request.nonce, "files": files})
    os.rename(temporary, os.path.join(request.output, RESULT))
