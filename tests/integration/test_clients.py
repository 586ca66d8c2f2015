"""Released models in the programs they are made for: TensorFlow Lite's task library and MediaPipe, unconfigured.

Each runs in an environment of its own and is held against what ``tinsmith detect`` finds in the same pictures.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from builder.digest import digest_file, digest_json
from builder.engine.virtualenv import ensure_environment
from builder.plan.step import Toolchain
from builder.resources import steps_folder
from builder.settings import cache_folder
from tests.fakes import Events
from tests.integration.conftest import runner

pytestmark = pytest.mark.toolchain
CLIENTS = Path(__file__).with_name("clients")
NAMES = ("tflite-support", "mediapipe")
VARIANTS = ("float32", "float16", "dynamic", "int8-1", "int8-2", "uint8-qat")
PICTURES = 8

SURE = 0.25
"""Least score of the detections that are compared: below it boxes of a short training crowd each other out."""
BOX, SCORE = 2.0, 0.01
"""Both clients round a box's corner and its size down to whole pixels, which is up to two at its far side."""
UNSTEADY = {"dynamic"}
"""Variants whose answer hangs on the last bit of the normalised input, in one and the same runtime too.

Dynamic quantization rounds what each layer computes. Most of what is found must still agree, if less closely.
"""
UNSTEADY_BOX, UNSTEADY_SCORE, UNSTEADY_SHARE = 6.0, 0.12, 0.8


def client_python(name: str) -> Path:
    """The Python of an environment with the client, made on first use from its hashed requirements.

    Skips where a library of the system is missing, or fails if TINSMITH_REQUIRE_CLIENTS is set.
    """
    folder = CLIENTS / name
    requirements = digest_file(folder / "requirements.lock")
    nothing = digest_json(None)
    client = Toolchain(name, "3.11", "", requirements, nothing, nothing)
    python = ensure_environment(client, folder, cache_folder(), Events()) / "bin" / "python"
    module = {"tflite-support": "tflite_support.task.vision", "mediapipe": "mediapipe.tasks.python.vision"}[name]
    tried = subprocess.run(
        [str(python), "-c", f"import {module}"], capture_output=True, text=True, check=False, cwd=CLIENTS
    )
    if tried.returncode:
        reason = tried.stderr.strip().splitlines()[-1]
        message = f"{name} cannot be loaded ({reason}); .ci/clients installs what it needs"
        if os.environ.get("TINSMITH_REQUIRE_CLIENTS"):
            pytest.fail(message)
        pytest.skip(message)
    return python


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Drawings that the training has not seen, of the model's own size: how a client resizes is its own affair."""
    folder = tmp_path_factory.mktemp("pictures")
    sys.path.insert(0, str(steps_folder()))
    try:
        import synthetic  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(steps_folder()))
    drawing = {"size": [96, 96], "objects": [1, 2], "seed": 8}
    found = []
    for number in range(PICTURES):
        image, _ = synthetic.draw(number, drawing, ["circle", "square", "triangle"])
        found.append(folder / f"{number}.png")
        image.save(found[-1])
    return found


@pytest.fixture(scope="module")
def expected(
    quantized: tuple[Path, Any], pictures: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Variant -> picture's name -> what ``tinsmith detect`` finds in it."""
    run, out = runner(quantized[0]), tmp_path_factory.mktemp("detected")
    found = {}
    for variant in VARIANTS:
        run("detect", f"q-{variant}", *map(str, pictures), "-o", str(out / variant), "--engine", "local",
            "--threshold", "0")  # fmt: skip
        records = json.loads((out / variant / "detections.json").read_text())
        found[variant] = {record["source"]: record["detections"] for record in records}
    return found


@pytest.fixture(scope="module", params=NAMES)
def answers(
    request: pytest.FixtureRequest,
    quantized: tuple[Path, Any],
    pictures: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, Any]]:
    """Variant -> picture's name -> what a client finds in it."""
    root, _ = quantized
    models = {str(root / "build" / f"q-{variant}-1.0.0" / "model.tflite"): variant for variant in VARIANTS}
    asked = tmp_path_factory.mktemp("asked") / "request.json"
    asked.write_text(json.dumps({"models": list(models), "pictures": [str(picture) for picture in pictures]}))
    done = subprocess.run(
        [str(client_python(request.param)), "detect.py", request.param.replace("-", "_"), str(asked)],
        capture_output=True, text=True, check=False, cwd=CLIENTS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        models[model]: {Path(name).name: detections for name, detections in each.items()}
        for model, each in found.items()
    }


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Most pixels between two boxes' edges, within a picture of 96 x 96; infinite if their labels differ."""
    if one["label"] != other["label"]:
        return float("inf")
    pairs = zip(one["box"], other["box"], strict=True)
    return max(abs(min(max(a, 0), 96) - min(max(b, 0), 96)) for a, b in pairs)


def inside(detection: dict[str, Any]) -> bool:
    """Whether a box begins within the picture: MediaPipe moves one that does not to its edge, and keeps its size."""
    return bool(detection["box"][0] > 0 and detection["box"][1] > 0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_client_finds_what_tinsmith_finds(
    variant: str, answers: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]
) -> None:
    box, score, share = (UNSTEADY_BOX, UNSTEADY_SCORE, UNSTEADY_SHARE) if variant in UNSTEADY else (BOX, SCORE, 1.0)
    compared, labels, differing = 0, set(), []
    for picture, ours in expected[variant].items():
        theirs = answers[variant][picture]
        for these, those in ((ours, theirs), (theirs, ours)):
            for detection in these:
                if detection["score"] < SURE or not inside(detection):
                    continue
                nearest = min(those, key=lambda other: distance(detection, other))
                if distance(detection, nearest) > box or abs(detection["score"] - nearest["score"]) > score:
                    differing.append((picture, detection, nearest))
                compared += 1
                labels.add(detection["label"])
    assert len(differing) <= (1 - share) * compared, differing
    assert compared >= 2 * PICTURES
    assert labels == {"circle", "square", "triangle"}


@pytest.fixture(scope="module")
def pages(quantized: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue's folder of models."""
    out = tmp_path_factory.mktemp("pages") / "site"
    runner(quantized[0])("site", "-o", str(out))
    return out / "models"


_EACH = """
import shutil, sys
program, pictures = sys.argv[1], sys.argv[2:]
for picture in pictures:
    shutil.copyfile(picture, "picture.jpg")
    exec(program, {"__name__": "__main__"})
    print("--")
"""


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_program_on_the_page_of_a_model_finds_what_tinsmith_finds(
    variant: str, pages: Path, pictures: list[Path], expected: dict[str, dict[str, Any]]
) -> None:
    """As it stands there; only from a lower score on, since these models are trained for a moment."""
    folder = pages / f"q-{variant}"
    found = re.search(
        r'aria-label="Example in Python"><code>(.*?)</code>', (folder / "index.html").read_text(), re.DOTALL
    )
    assert found is not None
    program, changed = re.subn(r"if score >= [0-9.]+:", f"if score >= {SURE}:", html.unescape(found[1]))
    assert changed == 1
    # The drawings are PNGs and stay so, whatever the file is called: no loss.
    done = subprocess.run(
        [sys.executable, "-c", _EACH, program, *map(str, pictures)],
        cwd=folder / "1.0.0", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    *answers, rest = done.stdout.split("--\n")
    assert rest == ""
    compared = 0
    for picture, answer in zip(pictures, answers, strict=True):
        lines = [line.rsplit(maxsplit=5) for line in answer.splitlines()]
        ours = [each for each in expected[variant][picture.name] if each["score"] >= SURE]
        assert [line[0] for line in lines] == [each["label"] for each in ours]
        for (_, score, top, left, bottom, right), each in zip(lines, ours, strict=True):
            assert float(score) == pytest.approx(each["score"], abs=2e-3)
            edges = [min(max(float(edge), 0), 1) * 96 for edge in (left, top, right, bottom)]
            assert edges == pytest.approx(each["box"], abs=0.2)
            compared += 1
    assert compared >= PICTURES


def test_the_task_library_writes_out_what_was_embedded(quantized: tuple[Path, Any]) -> None:
    root, _ = quantized
    script = ("import sys; from tflite_support import metadata;"
              "shown = metadata.MetadataDisplayer.with_model_file(sys.argv[1]);"
              "from tensorflow_lite_support.metadata.cc.python import _pywrap_metadata_version as version;"
              "print(version.GetMinimumMetadataParserVersion(shown.get_metadata_buffer()));"
              "print(shown.get_packed_associated_file_list()); print(shown.get_metadata_json())")  # fmt: skip
    model = root / "build" / "q-int8-2-1.0.0" / "model.tflite"
    done = subprocess.run([str(client_python("tflite-support")), "-c", script, str(model)],
                          capture_output=True, text=True, check=True, cwd=CLIENTS)  # fmt: skip
    counted, listed, text = done.stdout.split("\n", 2)
    found = json.loads(text)
    assert listed == "['labels.txt', 'release.json']"
    assert found["min_parser_version"] == counted.strip()
    assert (found["name"], found["version"], found["license"]) == ("q-int8-2", "1.0.0", "MIT")
    (subgraph,) = found["subgraph_metadata"]
    (image,) = subgraph["input_tensor_metadata"]
    assert image["content"]["content_properties"] == {"color_space": "RGB", "default_size": {"width": 96, "height": 96}}
    assert image["process_units"][0]["options"] == {"mean": [127.5], "std": [127.5]}
    with zipfile.ZipFile(model) as archive:
        assert archive.read("labels.txt") == (model.parent / "labels.txt").read_bytes()
