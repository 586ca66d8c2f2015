"""The training kernels of the installed toolchain: exact, and the same bits whatever the number of threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import in_toolchain

pytestmark = pytest.mark.toolchain


def check(cpu_class: str, threads: int, *words: str) -> Any:
    return in_toolchain("kernel_checks.py", cpu_class, str(threads), *words)


def test_outputs_and_gradients_are_those_of_float64_and_threads_change_no_bit() -> None:
    one = check("x86-64-v3", 1, "beside")

    assert one["worst"] < 4e-6, one["where"]
    assert one["cases"] > 600
    assert check("x86-64-v3", 3)["digest"] == one["digest"]
    if "avx512f" in Path("/proc/cpuinfo").read_text():
        assert check("x86-64-v4", 2)["digest"] == one["digest"], "wider vectors changed a result"
