"""A project in a temporary folder, and the command line as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
  steps: STEPS
  batch_size: 4
  seed: 1
  optimizer: {type: adam}
  learning_rate: {schedule: cosine, base: 0.002, warmup_steps: 2}
  augmentation: [horizontal_flip]
  checkpoint_every: 3
quantization: float32
release: {license: MIT, description: Drawings for a test, authors: [The tests]}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run("build", "manifests/tiny.yaml", status=0)`` in ``tmp_path``; the status is asserted."""

    def run(*words: str, status: int = 0, **changes: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*TINSMITH, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **changes},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[[int], Path]:
    """Writes ``manifests/tiny.yaml`` for so many training steps."""

    def write(steps: int = 6) -> Path:
        path = tmp_path / "manifests" / "tiny.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(TINY.replace("STEPS", str(steps)))
        return Path("manifests/tiny.yaml")

    return write
