"""Runs one step: ``python run.py REQUEST.json``.

The request (JSON) holds: ``step`` (module name), ``params``, ``inputs`` (name -> folder), ``output`` (the one
folder to write), ``threads``, ``nonce`` and ``key``. The step's module has ``main(request)``. When it returns, every
file below ``output`` is hashed into ``output/result.json`` together with the nonce: that file, not the exit
code, is the proof that the step succeeded. ``output/checkpoints`` is scratch and left out.
"""

import errno
import importlib
import json
import os
import signal
import sys

import contract


def _stop(signum, frame):
    raise KeyboardInterrupt


def run(path):
    """Runs the request at ``path``; returns the exit code (0, 1 for a reported failure, 130 interrupted)."""
    with open(path, encoding="utf-8") as stream:
        request = contract.Request(**json.load(stream))
    signal.signal(signal.SIGTERM, _stop)
    try:
        importlib.import_module(request.step).main(request)
    except contract.Failure as failure:
        contract.emit("error", code=failure.code, message=failure.message, help=failure.help)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        # Python and TensorFlow have different classes for it and the same words.
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        reason = str(error).splitlines()[0]
        contract.emit("error", code="disk-full", message=reason, help="free some space and run the same command")
        return 1
    contract.write_result(request)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(run(sys.argv[1]))
