"""What is predicted of a model is held against the graph that TensorFlow builds and the files that it converts to."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.cli.load import load_planned
from builder.engine.virtualenv import ensure_environment
from builder.manifest.network import Anchors, Model
from builder.predict import Prediction, predict
from builder.resources import steps_folder, toolchain_folder
from builder.settings import cache_folder
from tests.integration.conftest import ROOT

pytestmark = pytest.mark.toolchain

POST_TRAINING = {"calibration_images": 2, "calibration_seed": 1}
FLOAT = ({"type": "float32"},)
QUANTIZED = (
    {"type": "float16"},
    {"type": "dynamic"},
    {"type": "int8", "interface": "float32", **POST_TRAINING},
    {"type": "uint8-qat"},
)
BYTES_IN = {"type": "int8", "interface": "uint8", **POST_TRAINING}


@dataclass(frozen=True)
class Job:
    depth_multiplier: float
    size: tuple[int, int]
    classes: int
    quantizations: tuple[Mapping[str, Any], ...] = FLOAT
    architecture: str = "ssd_mobilenet_v2"
    min_depth: int = 16
    anchors: Anchors | None = None

    @property
    def model(self) -> dict[str, Any]:
        return Model(
            architecture=self.architecture,  # type: ignore[arg-type]
            depth_multiplier=self.depth_multiplier,
            min_depth=self.min_depth,
            input_shape=(*self.size, 3),
            anchors=self.anchors or Anchors(),
        ).model_dump(mode="json")

    def predicted(self) -> list[Prediction]:
        return [predict(self.model, self.classes, quantization) for quantization in self.quantizations]


LITE = "ssdlite_mobilenet_v2"
# The least network of all is where bytes that are no weights count most.
JOBS = {
    "least": Job(0.1, (96, 96), 1, (*FLOAT, *QUANTIZED, BYTES_IN), min_depth=8),
    "raccoon": Job(0.25, (300, 300), 1),
    "lite": Job(0.5, (160, 224), 3, (*FLOAT, *QUANTIZED), LITE),
    "odd": Job(
        0.35, (97, 131), 90, (FLOAT[0], QUANTIZED[2]), LITE, 1, Anchors(aspect_ratios=(1, 2), reduce_lowest=False)
    ),
    "whole": Job(1.0, (300, 300), 90, (FLOAT[0], QUANTIZED[1])),
    "most": Job(1.4, (96, 96), 3, (FLOAT[0],), min_depth=64),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each job's network really costs, from one process of the toolchain."""
    (planned,) = load_planned([ROOT / "manifests" / "shapes.yaml"])
    toolchain = planned.plans[0].step("train").toolchain
    python = ensure_environment(toolchain, toolchain_folder(toolchain.name), cache_folder(), lambda kind, detail: None)
    jobs = [
        {"model": job.model, "classes": [f"c{n}" for n in range(job.classes)], "quantizations": job.quantizations}
        for job in JOBS.values()
    ]
    done = subprocess.run(
        [
            str(python / "bin" / "python"),
            "-W",
            "ignore",
            str(Path(__file__).with_name("real_networks.py")),
            str(tmp_path_factory.mktemp("networks")),
        ],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(steps_folder()), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(JOBS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", JOBS)
def test_parameters_multiply_adds_and_anchors_are_exact(name: str, real: dict[str, Any]) -> None:
    (predicted, *_), found = JOBS[name].predicted(), real[name]
    assert predicted.parameters == found["parameters"]
    assert predicted.multiply_adds == found["multiply_adds"]
    assert predicted.anchors == found["anchors"]


@pytest.mark.parametrize("name", JOBS)
def test_the_size_of_the_tflite_is_within_one_percent(name: str, real: dict[str, Any]) -> None:
    sizes = [prediction.tflite_bytes for prediction in JOBS[name].predicted()]
    assert sizes == pytest.approx(real[name]["bytes"], rel=0.01)
