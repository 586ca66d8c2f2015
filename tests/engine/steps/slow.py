"""Starts a child that would outlive it, then runs until it is stopped; on the way out it saves its work."""

import os
import subprocess
import sys
import time

import contract


def main(request):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", request.nonce])
    with open(contract.output_path(request, "checkpoints", "child"), "w", encoding="utf-8") as stream:
        stream.write(str(child.pid))
    try:
        # It may be stopped as soon as it has said this.
        contract.emit("message", text="waiting")
        time.sleep(300)
    finally:
        with open(contract.output_path(request, "checkpoints", "saved"), "w", encoding="utf-8") as stream:
            stream.write(str(os.getpid()))
