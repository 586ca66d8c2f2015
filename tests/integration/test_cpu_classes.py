"""A training gives the same bits on every processor of its CPU class: this machine's beside emulated ones."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.integration.conftest import in_toolchain, step_python

pytestmark = pytest.mark.toolchain
CHECKS = Path(__file__).with_name("cpu_checks.py")


@pytest.fixture(scope="module")
def emulator() -> str:
    """qemu's user-mode emulator. Skips where it is missing, or fails if TINSMITH_REQUIRE_QEMU is set."""
    found = shutil.which("qemu-x86_64")
    if found is None:
        message = "qemu-x86_64 is not on PATH (Debian: apt-get install qemu-user)"
        if os.environ.get("TINSMITH_REQUIRE_QEMU"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Optimizer -> the folder of its training graph, which this machine builds for every processor."""
    found = {}
    for optimizer in ("adam", "rmsprop"):
        found[optimizer] = tmp_path_factory.mktemp(optimizer)
        step_python(str(CHECKS), "describe", str(found[optimizer]), "x86-64-v3", optimizer)
    return found


@functools.cache
def here(graph: Path) -> Mapping[str, str]:
    return parts(graph, "x86-64-v3", 1)


def parts(graph: Path, cpu_class: str, threads: int, under: Sequence[str] = ()) -> Mapping[str, str]:
    found: dict[str, str] = in_toolchain(CHECKS.name, "train", str(graph), cpu_class, str(threads), under=under)
    return found


# Emulated reciprocals and roots are exact, a processor's are approximations of its maker: what used one would differ.
# The models have other caches and features than each other and than this machine.
@pytest.mark.parametrize(("model", "optimizer"), [("Haswell", "adam"), ("EPYC", "rmsprop")])
def test_another_processor_of_the_class_gives_the_same_bits(
    emulator: str, graphs: Mapping[str, Path], model: str, optimizer: str
) -> None:
    graph = graphs[optimizer]
    assert parts(graph, "x86-64-v3", 2, under=(emulator, "-cpu", model)) == here(graph)


def test_wider_vectors_give_the_same_bits(graphs: Mapping[str, Path]) -> None:
    if level() < 4:
        pytest.skip("this machine's CPU is not of class x86-64-v4")
    assert parts(graphs["adam"], "x86-64-v4", 2) == here(graphs["adam"])


def test_the_c_library_takes_no_part_in_a_step(
    graphs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, library = tmp_path / "wrong.c", tmp_path / "wrong.so"
    source.write_text("float expf(float x) { return x + 1; }\nfloat log1pf(float x) { return x / 2; }\n")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path))
    step_python("-m", "ziglang", "cc", "-shared", "-fPIC", "-fno-builtin", str(source), "-o", str(library))

    graph = graphs["rmsprop"]
    assert parts(graph, "x86-64-v3", 1, under=("env", f"LD_PRELOAD={library}")) == here(graph)


def test_a_processor_below_the_class_is_refused(emulator: str) -> None:
    assert level(under=(emulator, "-cpu", "IvyBridge")) == 2
    load = "import contract, kernels\ntry: kernels.load('x86-64-v4', 1)\nexcept contract.Failure as error: print(error)"
    answer = step_python("-c", load, under=(emulator, "-cpu", "Haswell"))
    assert answer.strip() == "this machine's CPU is not of class x86-64-v4: it is x86-64-v3"


def level(under: Sequence[str] = ()) -> int:
    asked = "import ctypes, sys; print(ctypes.CDLL(sys.prefix + '/lib/tinsmith/cpu.so').tinsmith_cpu_level())"
    return int(step_python("-c", asked, under=under))
