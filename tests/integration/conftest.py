"""A project in a temporary folder, and the command line as a user runs it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from builder.engine.docker import DockerEngine
from builder.engine.virtualenv import ensure_environment
from builder.errors import NoEngine
from builder.lock.toolchains import resolve_toolchain
from builder.resources import steps_folder, toolchain_folder
from builder.settings import cache_folder
from tests.fakes import Events

TINSMITH = [sys.executable, "-c", "from builder.cli import main; main()"]
ROOT = Path(__file__).resolve().parents[2]

TINY = """\
schema: 1
name: tiny
version: 1.0.0
toolchain: tf1.15
dataset:
  format: synthetic
  synthetic: {images: 60, size: [112, 112], objects: [1, 2], seed: 3}
  classes: [circle, square, triangle]
  split: {eval: 0.2, seed: 5}
model:
  architecture: ssd_mobilenet_v2
  depth_multiplier: 0.25
  input_shape: [96, 96, 3]
  max_detections: 10
  nms: {iou_threshold: 0.6, score_threshold: 1.0e-8}
train:
  steps: 12
  batch_size: 4
  seed: 1
  optimizer: {type: adam}
  learning_rate: {schedule: cosine, base: 0.002, warmup_steps: 2}
  augmentation: [horizontal_flip]
  checkpoint_every: 3
quantization: float32
release: {license: MIT, description: Drawings for a test, authors: [The tests]}
"""

BUILD = ("--engine", "local", "--json")

Run = Callable[..., subprocess.CompletedProcess[str]]


def runner(folder: Path) -> Run:
    """``run("build", "manifests/tiny.yaml", status=0)`` in ``folder``; the status is asserted."""

    def run(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*TINSMITH, *words], cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return run


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def step_python(*words: str, under: Sequence[str] = ()) -> str:
    """What the tf1.15 toolchain's Python prints for ``words``, with the step code on its path, run by ``under``."""
    folder = ensure_environment(resolve_toolchain("tf1.15"), toolchain_folder("tf1.15"), cache_folder(), Events())
    done = subprocess.run(
        [*under, str(folder / "bin" / "python"), *words],
        env={**os.environ, "PYTHONPATH": str(steps_folder()), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def in_toolchain(script: str, *words: str, under: Sequence[str] = ()) -> Any:
    """The JSON that ``script`` of this folder prints as its last line; see ``step_python``."""
    return json.loads(step_python(str(Path(__file__).with_name(script)), *words, under=under).splitlines()[-1])


def manifest(name: str, **changes: str) -> str:
    """The tiny manifest under another name; each change replaces a top-level section, or adds it."""
    text = TINY.replace("name: tiny", f"name: {name}").replace("steps: 12", "steps: 4")
    for key, body in changes.items():
        lines = text.splitlines(keepends=True)
        start = next((number for number, line in enumerate(lines) if line.startswith(f"{key}:")), len(lines))
        end = next((n for n in range(start + 1, len(lines)) if not lines[n].startswith(" ")), len(lines))
        text = "".join([*lines[:start], f"{key}: {body}\n", *lines[end:]])
    return text


def locked(run: Run, folder: Path, name: str, text: str) -> str:
    """The path in ``folder`` of a manifest, locked."""
    (folder / "manifests").mkdir(exist_ok=True)
    (folder / "manifests" / f"{name}.yaml").write_text(text)
    run("lock", f"manifests/{name}.yaml")
    return f"manifests/{name}.yaml"


def build(run: Run, folder: Path, name: str, text: str, status: int = 0) -> Any:
    """Locks and builds a manifest; what ``build --json`` says."""
    done = run("build", locked(run, folder, name, text), *BUILD, status=status)
    return json.loads(done.stdout) if status == 0 else done.stderr


def project(folder: Path) -> Run:
    """A project with ``manifests/tiny.yaml``, locked to the same base images as every other one."""
    (folder / "manifests").mkdir()
    (folder / "manifests" / "tiny.yaml").write_text(TINY)
    run = runner(folder)
    run("lock", "manifests/tiny.yaml", *bases())
    return run


@functools.cache
def bases() -> tuple[str, ...]:
    """Words for ``tinsmith lock`` that name the stand-in base images where this machine has them."""
    try:
        engine = DockerEngine.connect()
    except NoEngine:
        return ()
    words = []
    for toolchain, tag in (("tf1.15", "tinsmith-base:py3.7"), ("litert", "tinsmith-base:py3.11")):
        if image := engine.local_image(tag):
            words += ["--base-image", f"{toolchain}={image}"]
    engine.close()
    return tuple(words)


def outputs(folder: Path, step: str, store: Path | None = None) -> dict[str, str]:
    """Output path -> digest of a step that has run in ``folder``."""
    planned = json.loads(runner(folder)("plan", "manifests/tiny.yaml", "--json").stdout)
    (key,) = [item["key"] for item in planned["steps"] if item["name"] == step]
    path = (store or folder / ".tinsmith" / "store") / "results" / f"{key.removeprefix('sha256:')}.json"
    return {item["path"]: item["digest"] for item in json.loads(path.read_bytes())["artifacts"]}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the tiny manifest has been built by the local engine.

    ``build.jsonl`` and ``build.stdout`` are its events and what it printed.
    """
    folder = tmp_path_factory.mktemp("built")
    done = project(folder)("build", "manifests/tiny.yaml", "--engine", "local", "--progress", "json")
    (folder / "build.jsonl").write_text(done.stderr)
    (folder / "build.stdout").write_text(done.stdout)
    return folder


QUANTIZATIONS = "[float32, float16, dynamic, int8, {type: int8, interface: uint8}, {type: uint8-qat, steps: 4}]"


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A project with one training quantized in every way, as q-float32 and so on; release -> what ``build`` says.

    It is trained just long enough to find what is drawn.
    """
    text = manifest("q", quantization=QUANTIZATIONS)
    for old, new in (("images: 60", "images: 300"), ("eval: 0.2", "eval: 0.04"), ("base: 0.002", "base: 0.003"),
                     ("steps: 4\n", "steps: 250\n"), ("batch_size: 4", "batch_size: 16"),
                     ("checkpoint_every: 3", "checkpoint_every: 250")):  # fmt: skip
        assert old in text
        text = text.replace(old, new, 1)
    folder = tmp_path_factory.mktemp("quantized")
    return folder, {item["release"]: item for item in build(runner(folder), folder, "q", text)}


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Skips where no Docker engine answers, or fails if TINSMITH_REQUIRE_DOCKER is set."""
    try:
        DockerEngine.connect().close()
    except NoEngine as error:
        if os.environ.get("TINSMITH_REQUIRE_DOCKER"):
            pytest.fail(error.message)
        pytest.skip(error.message)
