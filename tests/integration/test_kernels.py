"""The training kernels of the installed toolchain: exact, and the same bits whatever the number of threads."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builder.engine.virtualenv import ensure_environment
from builder.lock.toolchains import resolve_toolchain
from builder.resources import steps_folder, toolchain_folder
from builder.settings import cache_folder
from tests.fakes import Events
from tests.integration.conftest import ROOT

pytestmark = pytest.mark.toolchain

CHECKS = Path(__file__).with_name("kernel_checks.py")


def check(cpu_class: str, threads: int) -> dict[str, Any]:
    folder = ensure_environment(resolve_toolchain("tf1.15"), toolchain_folder("tf1.15"), cache_folder(), Events())
    done = subprocess.run(
        [str(folder / "bin" / "python"), str(CHECKS), cpu_class, str(threads)],
        env={**os.environ, "PYTHONPATH": str(steps_folder()), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_outputs_and_gradients_are_those_of_float64_and_threads_change_no_bit() -> None:
    one = check("x86-64-v3", 1)

    assert one["worst"] < 4e-6, one["where"]
    assert one["cases"] > 600
    assert check("x86-64-v3", 3)["digest"] == one["digest"]
    if "avx512f" in Path("/proc/cpuinfo").read_text():
        assert check("x86-64-v4", 2)["digest"] == one["digest"], "wider vectors changed a result"
