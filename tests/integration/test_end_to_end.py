"""The whole way from a manifest to the files of a release, with real TensorFlow, in each engine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from builder.digest import digest_file
from tests.integration.conftest import bases, outputs, project, runner

pytestmark = pytest.mark.toolchain
MANIFEST = "manifests/tiny.yaml"
STEPS = ("ingest", "train", "export", "convert", "embed", "infer", "verify", "measure", "package")


def test_a_build_ends_with_its_model_and_its_pictures(built: Path) -> None:
    table = (built / "build.stdout").read_text()
    assert "tiny@1.0.0" in table
    assert "detections.png" in table


def test_the_files_of_a_release_are_laid_out_and_agree(built: Path) -> None:
    files = built / "build" / "tiny-1.0.0"
    metadata = json.loads((files / "metadata.json").read_text())
    metrics = json.loads((files / "metrics.json").read_text())
    assert (files / "labels.txt").read_text().split() == ["circle", "square", "triangle"]
    assert (files / "model.tflite").read_bytes()[4:8] == b"TFL3"
    assert metrics["model_digest"] == digest_file(files / "model.tflite")
    assert metadata["input"]["shape"] == [1, 96, 96, 3]
    assert (metadata["input"]["mean"], metadata["input"]["std"]) == (127.5, 127.5)
    assert set(metrics["stages"]) == {"frozen", "tflite_tf1", "tflite_litert"}
    assert metrics["images"] == 12
    certificate = json.loads((files / "certificate.json").read_text())
    assert certificate["model_digest"] == metrics["model_digest"]
    for pair in certificate["image_sets"]["eval"]["pairs"].values():
        assert pair["raw"]["max_raw_score_diff"] < 1e-4
        assert pair["raw"]["max_raw_box_diff"] < 1e-3
    with Image.open(files / "detections.png") as picture:
        assert picture.width > 200


def test_what_a_report_is_given_agrees_with_the_figures(built: Path) -> None:
    files = built / "build" / "tiny-1.0.0"
    metrics, found = (json.loads((files / name).read_text()) for name in ("metrics.json", "evaluation.json"))
    stage = metrics["stages"]["tflite_litert"]["per_class"]
    for name, curve in found["precision_recall"].items():
        assert sum(curve["precision"]) / 101 == pytest.approx(stage[name]["ap50"], abs=1e-6)
    rows = dict(zip(found["confusion"]["classes"], found["confusion"]["counts"], strict=False))
    assert {name: sum(row) for name, row in rows.items()} == {name: stage[name]["boxes"] for name in rows}
    assert found["shown"] == list(range(1, 9)) and found["worst"]
    for picture in found["pictures"].values():
        with Image.open(files / picture["picture"]) as image:
            assert image.size == (96, 96)
    (stage,) = json.loads((files / "training.json").read_text())["stages"]
    assert [step for step, _ in stage["curves"]["loss"]] == list(range(1, 13))
    assert [step for step, _ in stage["curves"]["map"]][-1] == stage["weights_of_step"] == 12


def test_a_second_build_runs_nothing(built: Path) -> None:
    done = runner(built)("build", MANIFEST, "--engine", "docker")
    assert "started" not in done.stderr
    planned, *cached = done.stderr.splitlines()
    assert planned == "plan     tiny 1.0.0: 9 steps, 9 cached"
    assert [line.split() for line in cached] == [[step, "cached"] for step in STEPS]
    assert "released before, the same bytes" in done.stdout


def test_releases_are_listed_shown_pulled_and_run(built: Path, tmp_path: Path) -> None:
    run = runner(built)
    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["name"], listed["version"]) == ("tiny", "1.0.0")
    shown = run("show", "tiny").stdout
    assert "tflite_litert" in shown
    assert "constant boxes" in shown
    run("pull", "tiny@1.0.0", str(tmp_path / "app"))
    model = tmp_path / "app" / "model.tflite"
    assert model.read_bytes() == (built / "build" / "tiny-1.0.0" / "model.tflite").read_bytes()
    picture = tmp_path / "drawing.png"
    Image.new("RGB", (200, 160), "navy").save(picture)
    run("detect", "tiny", str(picture), "-o", str(tmp_path / "boxes"), "--engine", "local", "--threshold", "0")
    (record,) = json.loads((tmp_path / "boxes" / "detections.json").read_text())
    assert (record["width"], record["height"]) == (200, 160)
    with Image.open(tmp_path / "boxes" / record["picture"]) as drawn:
        assert drawn.size == (200, 160)


def test_the_curves_of_a_training_can_be_opened_during_and_after_it(built: Path) -> None:
    assert "tensorboard --logdir" in (built / "build.jsonl").read_text()
    training = built / "build" / "tiny-1.0.0" / "training"
    assert len((training / "metrics.jsonl").read_text().splitlines()) == 12
    (events,) = (training / "tensorboard").iterdir()
    data, lengths = events.read_bytes(), []
    while data:  # TFRecord: length, its checksum, that many bytes, their checksum
        lengths.append(int.from_bytes(data[:8], "little"))
        data = data[8 + 4 + lengths[-1] + 4 :]
    assert len(lengths) == 1 + 12
    assert "tfevents" in events.name


def test_a_missed_budget_is_exit_5_and_releases_nothing(built: Path, tmp_path: Path) -> None:
    text = (built / MANIFEST).read_text().replace("release:", "verify: {min_map50: 0.99}\nrelease:")
    (tmp_path / "manifests").mkdir()
    (tmp_path / MANIFEST).write_text(text)
    run = runner(tmp_path)
    run("lock", MANIFEST, *bases())
    store = str(built / ".tinsmith" / "store")
    done = run("build", MANIFEST, "--engine", "local", "--store", store, status=5)
    assert "min_map50" in done.stderr
    assert [line.split()[0] for line in done.stderr.splitlines() if "started" in line] == ["package"]
    assert not (tmp_path / "releases" / "index.json").exists()


def test_other_bytes_under_a_released_version_are_exit_7(built: Path, tmp_path: Path) -> None:
    text = (built / MANIFEST).read_text().replace("description: Drawings", "description: Other drawings")
    (tmp_path / "manifests").mkdir()
    (tmp_path / MANIFEST).write_text(text)
    run = runner(tmp_path)
    run("lock", MANIFEST, *bases())
    store, releases = str(built / ".tinsmith" / "store"), str(built / "releases")
    done = run("build", MANIFEST, "--engine", "local", "--store", store, "--releases", releases, status=7)
    assert "from another plan" in done.stderr
    assert "started" not in done.stderr


@pytest.mark.docker
def test_docker_local_and_a_compiled_dockerfile_build_one_release(
    built: Path, tmp_path: Path, docker_engine: None
) -> None:
    run = project(tmp_path)
    done = run("build", MANIFEST, "--engine", "docker")
    for step in STEPS:
        assert f"{step:8} started (docker)" in done.stderr
        if step not in ("measure", "package"):  # which have figures of a machine
            assert outputs(tmp_path, step) == outputs(built, step), step
    assert all(word in done.stderr for word in ("12/12", "images/s", "ETA")), "training shows its progress"
    (here,) = json.loads(run("list", "--json").stdout)
    (local,) = json.loads(runner(built)("list", "--json").stdout)
    assert here["digest"] == local["digest"]
    run("compile", MANIFEST, "--to", "dockerfile", "-o", "context")
    # The toolchains' images are there, built by the engine; from here on there is no tinsmith and no network.
    image = docker(
        "build", "--quiet", "--network", "none", "--file", "context/offline.Dockerfile", "context", at=tmp_path
    )
    container = docker("create", image, "none", at=tmp_path)
    docker("cp", f"{container}:/release", "compiled", at=tmp_path)
    docker("rm", container, at=tmp_path)
    assert (tmp_path / "compiled" / "release.txt").read_text() == f"tiny@1.0.0 {local['digest']}\n"
    for path in (tmp_path / "compiled" / "files").rglob("*"):
        if path.is_file():
            twin = built / "build" / "tiny-1.0.0" / path.relative_to(tmp_path / "compiled" / "files")
            assert path.read_bytes() == twin.read_bytes(), path
    run("show", local["digest"], "--releases", "compiled/oci")


def docker(*words: str, at: Path) -> str:
    """What the docker client prints, with the builder that every engine has."""
    done = subprocess.run(
        ["docker", *words],
        cwd=at,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
