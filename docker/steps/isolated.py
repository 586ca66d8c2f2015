"""Tries a .tflite in a child process first, so that a file that crashes the native runtime costs only the child.

The child loads the model, runs it a few times on a fixed picture and reports what that took. Being fresh, it
also tells the memory that a program needs which does nothing but run this model.
"""

import json
import os
import resource
import subprocess
import sys
import time

import contract
import litert
import numpy as np

TIMEOUT = 300
"""Seconds that the child may take."""

ADDRESS_SPACE = 8 << 30
"""Bytes of address space the child may ask for: a file that wants more is refused, not served."""


def trial(model, spec, order, threads=1, warm_up=0, runs=1):
    """Runs ``model`` (a path) in a child; returns {"latency_ms": [..], "load_ms", "peak_memory_mb",
    "runtime_memory_mb"}; the last is what Python and the runtime take before the model is there.

    Failure ``model-crash`` if the runtime dies or hangs, else whatever Failure the child met.
    """
    request = {"model": os.path.abspath(model), "spec": spec, "order": list(order), "threads": threads,
               "warm_up": warm_up, "runs": runs}  # fmt: skip
    try:
        child = subprocess.run(
            [sys.executable, os.path.abspath(__file__)],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise contract.Failure("model-crash", "the model does not answer within %d s" % TIMEOUT) from None
    try:
        answer = json.loads(child.stdout.decode().splitlines()[-1])
    except (IndexError, ValueError):
        raise contract.Failure(
            "model-crash",
            "the runtime died on this model (%s)" % _death(child.returncode),
            "the .tflite is damaged or made to do harm; build it again",
        ) from None
    if "failure" in answer:
        raise contract.Failure(*answer["failure"])
    return answer


def _death(status):
    return "signal %d" % -status if status < 0 else "exit status %d" % status


def _child(request):
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    idle = peak_memory_mb()
    began = time.perf_counter()
    with open(request["model"], "rb") as stream:
        content = stream.read()
    detector = litert.Detector(content, request["spec"], request["order"], request["threads"])
    loaded = time.perf_counter()
    _, height, width, _ = request["spec"]["shape"]
    pixels = np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)
    detector.detect(pixels)
    tensor = litert.normalise(pixels, request["spec"])
    for _ in range(request["warm_up"]):
        detector.invoke(tensor)
    latency = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        detector.invoke(tensor)
        latency.append((time.perf_counter() - start) * 1000.0)
    return {
        "latency_ms": latency,
        "load_ms": (loaded - began) * 1000.0,
        "peak_memory_mb": peak_memory_mb(),
        "runtime_memory_mb": idle,
    }


def peak_memory_mb():
    """This process's largest resident size so far, MiB.

    From VmHWM, which starts afresh at exec; ru_maxrss is inherited from the parent, so a child of a large
    process would report the parent's size.
    """
    try:
        with open("/proc/self/status") as stream:
            for line in stream:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024.0
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


if __name__ == "__main__":
    try:
        print(json.dumps(_child(json.load(sys.stdin))))
    except contract.Failure as failure:
        print(json.dumps({"failure": [failure.code, failure.message, failure.help]}))
