"""Latency and memory of the released .tflite in ai-edge-litert, on this machine, which is named."""

import platform

import contract
import isolated
import litert
import numpy as np

WARM_UP = 10
RUNS = 50


def main(request):
    """Writes latency.json: median and 90th percentile of single-picture runs, and peak memory.

    All of it is measured in a fresh child process that does nothing else. Not reproducible by nature.
    """
    spec = litert.check_input(contract.read_json(contract.input_path(request, "converted", "input.json")))
    outputs = contract.read_json(contract.input_path(request, "graph", "outputs.json"))
    order = litert.order_of(outputs)
    model = contract.input_path(request, "converted", "model.tflite")
    threads = litert.threads_for(outputs, int(request.params["threads"]))
    found = isolated.trial(model, spec, order, threads, WARM_UP, RUNS)
    latency = np.array(found["latency_ms"])
    contract.write_json(
        contract.output_path(request, "latency.json"),
        {
            "cpu": cpu_name(),
            "threads": threads,
            "runs": RUNS,
            "warm_up": WARM_UP,
            "latency_ms": {
                "median": round(float(np.median(latency)), 3),
                "p90": round(float(np.percentile(latency, 90)), 3),
                "min": round(float(latency.min()), 3),
            },
            "load_ms": round(found["load_ms"], 3),
            "peak_memory_mb": round(found["peak_memory_mb"], 1),
            "runtime_memory_mb": round(found["runtime_memory_mb"], 1),
            "runtime": litert.runtime(),
        },
    )


def cpu_name():
    """The CPU's own name as the kernel gives it, else the machine type."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()
