"""A release is checked again from itself, with a real model: as it was built, and as someone else would have it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from builder.digest import digest_bytes
from builder.release.layout import Layout
from tests.forged import republished
from tests.integration.conftest import runner

pytestmark = pytest.mark.toolchain


def test_a_release_as_it_was_built_answers_with_the_same_bits(built: Path) -> None:
    found = json.loads(runner(built)("verify", "tiny", "--engine", "local", "--json").stdout)
    assert found["ok"] and found["golden"]["exact"]
    assert [check["name"] for check in found["behaviour"]] == [
        "input", "classes", "embedded", "golden pictures", "by the kernels of apps",
    ]  # fmt: skip
    certificate = json.loads((built / "build" / "tiny-1.0.0" / "certificate.json").read_text())
    (evaluated,) = certificate["image_sets"].values()
    assert len(evaluated["images"]) == 12
    assert certificate["runtimes"]["frozen"]["name"] == "tensorflow"
    assert len(list((built / "build" / "tiny-1.0.0" / "golden").glob("*.png"))) == 8


def test_a_damaged_file_is_exit_7_and_the_model_is_not_run(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "releases", tmp_path / "releases")
    layout = Layout(tmp_path / "releases")
    path = layout.blob_path(layout.find("tiny").files["model.tflite"][0])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = runner(tmp_path)("verify", "tiny", "--engine", "local", status=7)
    assert "has other bytes than its name says" in done.stdout
    assert "not run" in done.stdout


def test_labels_in_another_order_are_exit_7(built: Path, tmp_path: Path) -> None:
    layout = Layout(built / "releases")
    release = layout.find("tiny")
    metadata = json.loads(layout.read(release, "metadata.json"))
    names = metadata["labels"]["names"] = metadata["labels"]["names"][::-1]
    changed = {"labels.txt": "".join(f"{name}\n" for name in names).encode()}
    republished(layout, release, {**changed, "metadata.json": json.dumps(metadata).encode()}, tmp_path / "releases")
    done = runner(tmp_path)("verify", "tiny", "--engine", "local", status=7)
    assert "another order" in done.stdout


def test_another_model_under_right_digests_is_exit_5(built: Path, tmp_path: Path) -> None:
    layout = Layout(built / "releases")
    release = layout.find("tiny")
    model = bytearray(layout.read(release, "model.tflite"))
    middle = len(model) // 8 * 4
    for place in range(middle + 3, middle + 4_000, 4):
        model[place] ^= 0x80  # signs of weights
    old, new = release.files["model.tflite"][0], digest_bytes(bytes(model))
    changed = {
        name: layout.read(release, name).replace(old.encode(), new.encode())
        for name in ("metrics.json", "certificate.json", "evaluation.json", "metadata.json", "golden/expected.json")
    }
    republished(layout, release, {**changed, "model.tflite": bytes(model)}, tmp_path / "releases")
    done = runner(tmp_path)("verify", "tiny", "--engine", "local", "--json", status=5)
    found = json.loads(done.stdout)
    assert all(check["ok"] is not False for check in found["refused"])
    assert {check["name"] for check in found["behaviour"] if not check["ok"]} == {
        "golden pictures", "by the kernels of apps",
    }  # fmt: skip
    assert "golden pictures" in done.stderr


def test_an_expectation_that_was_changed_is_exit_5(built: Path, tmp_path: Path) -> None:
    layout = Layout(built / "releases")
    release = layout.find("tiny")
    expected = json.loads(layout.read(release, "golden/expected.json"))
    expected["pictures"][3]["raw"]["box_encodings"]["sample"][20] += 0.5
    changed = {"golden/expected.json": json.dumps(expected).encode()}
    republished(layout, release, changed, tmp_path / "releases")
    done = runner(tmp_path)("verify", "tiny", "--engine", "local", status=5)
    assert "beyond tolerance: 4.png" in done.stdout
