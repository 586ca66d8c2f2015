"""What a step is given, whichever engine runs it: the request file and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.engine.base import Workspace
from builder.plan.step import Step
from builder.settings import threads

ENTRY = "run.py"
"""The script of the step code folder that runs any step."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Those of a step's environment that say how many threads it runs on."""


def threads_of(step: Step) -> int:
    """How many threads ``step`` runs on."""
    return step.threads or threads()


def request(step: Step, workspace: Workspace, inputs: Mapping[str, str], output: str) -> dict[str, Any]:
    """The request as plain data; ``inputs`` and ``output`` are the paths as the step sees them."""
    return {
        "step": step.module,
        "params": step.params,
        "inputs": dict(inputs),
        "output": output,
        "threads": threads_of(step),
        "nonce": workspace.nonce,
        "key": step.key,
    }


def environment(step: Step, path: str, home: str) -> dict[str, str]:
    """The whole environment of a step: nothing of the caller's comes in. ``home`` is its scratch folder."""
    return {**fixed_environment(path, home), **dict.fromkeys(THREAD_VARIABLES, str(threads_of(step)))}


def fixed_environment(path: str, home: str) -> dict[str, str]:
    """What is the same for every step; ``THREAD_VARIABLES`` are the others."""
    return {
        "PATH": path,
        "HOME": home,
        "TMPDIR": home,
        "MPLCONFIGDIR": home,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
