"""The golden pictures of a release run again: what is found when model, documents or pictures are other ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certificate
import contract
import embed
import golden
import isolated
import litert
import numpy as np
import pytest
import recheck
import tflite_edit
import tiny_tflite as tiny
from PIL import Image

LABELS = ["green", "blue"]
CELLS = [(row, (3 * row) % 8, 1 + row % 2) for row in range(4)]
OUTPUTS = {
    "tensors": [{"index": index, "meaning": meaning} for index, meaning in enumerate(litert.ROLES)],
    "index_base": 0,
    "nms": {"mode": "fast"},
}
METADATA = {
    "name": "tiny",
    "version": "1.0.0",
    "input": tiny.INPUT,
    "outputs": OUTPUTS,
    "labels": {"names": LABELS},
    "quantization": {"type": "float32"},
}


def model(data: bytes = b"", labels: str = "green\nblue\n", name: str = "tiny") -> bytes:
    """A .tflite with what ``embed`` appends."""
    origin = json.dumps({"name": name, "version": "1.0.0"})
    files = [(embed.LABELS, labels.encode()), (embed.ORIGIN, origin.encode())]
    return bytes(tflite_edit.append_files(data or tiny.build(), files))


Change = Callable[[Path], None]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The files of a release that ``recheck`` reads, with four golden pictures."""
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "model.tflite").write_bytes(model())
    (folder / "labels.txt").write_text("green\nblue\n")
    contract.write_json(folder / "metadata.json", METADATA)
    request = contract.Request("verify", {}, {}, str(folder), 1, "nonce")
    detector = litert.Detector(tiny.build(), tiny.INPUT, kernels="plain")
    pictures = [({"id": row, "file_name": f"p{row}.jpg"}, tiny.picture(*cell)) for row, cell in enumerate(CELLS, 1)]
    runtime = dict(litert.runtime(), machine=recheck.platform.machine())
    about = {"kernels": "plain", "runtime": runtime, "model_digest": "sha256:" + "0" * 64}
    golden.write(request, pictures, LABELS, detector, about)
    return folder


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the trial in a child, where it is not what is tested."""
    monkeypatch.setattr(isolated, "trial", lambda *_: None)


def run(folder: Path) -> dict[str, Any]:
    output = folder.parent / "out"
    output.mkdir()
    recheck.main(contract.Request("recheck", {}, {"release": str(folder)}, str(output), 1, "nonce"))
    report: dict[str, Any] = json.loads((output / "report.json").read_bytes())
    return report


def edit(folder: Path, name: str, change: Callable[[Any], None]) -> None:
    document = json.loads((folder / name).read_bytes())
    change(document)
    (folder / name).write_text(json.dumps(document))


def test_the_same_model_answers_with_the_same_bits(release: Path) -> None:
    report = run(release)
    assert report["ok"] and report["exact"]
    assert [check["name"] for check in report["checks"]] == [
        "input",
        "classes",
        "embedded",
        "golden pictures",
        "by the kernels of apps",
    ]
    assert {row["kernels"] for row in report["pictures"]} == {"plain", "default"}
    assert len(report["pictures"]) == 2 * len(CELLS)
    assert all(row["matched"] == 1 and row["unmatched"] == 0 for row in report["pictures"])
    assert report["tolerance"]["why"] == "the same runtime"


def test_golden_pictures_are_the_pixels_that_the_model_saw(release: Path) -> None:
    for number, cell in enumerate(CELLS, 1):
        with Image.open(release / "golden" / f"{number}.png") as image:
            assert image.mode == "RGB" and image.info == {}
            assert (np.asarray(image) == tiny.picture(*cell)).all()
    first = golden.read(release / "golden")["pictures"][0]
    row, column, channel = CELLS[0]
    (found,) = first["detections"]
    assert (found["label"], found["class"], found["score"]) == (LABELS[channel - 1], channel - 1, 1.0)
    assert found["box"] == [row / 8, column / 8, (row + 1) / 8, (column + 1) / 8]
    assert first["raw"]["class_scores"]["shape"] == [64, 3]


def other_model(folder: Path) -> None:
    """One that takes the picture for another: its anchors are flipped."""
    shifted = np.ascontiguousarray(tiny.anchors(8, 8)[::-1])
    data = tiny.build().replace(tiny.anchors(8, 8).tobytes(), shifted.tobytes())
    assert data != tiny.build()
    (folder / "model.tflite").write_bytes(model(data))


def other_labels_inside(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(model(labels="blue\ngreen\n"))


def other_name_inside(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(model(name="other"))


def nothing_inside(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(tiny.build())


def swapped_labels(folder: Path) -> None:
    (folder / "labels.txt").write_text("blue\ngreen\n")


def swapped_everywhere(folder: Path) -> None:
    """Labels in another order wherever names stand alone: those of the expected detections still tell."""
    swapped_labels(folder)
    edit(folder, "metadata.json", lambda found: found["labels"].update(names=LABELS[::-1]))


def one_more_label(folder: Path) -> None:
    (folder / "labels.txt").write_text("green\nblue\nred\n")
    edit(folder, "metadata.json", lambda found: found["labels"].update(names=[*LABELS, "red"]))
    edit(folder, "golden/expected.json", lambda found: found["labels"].append("red"))


def other_normalisation(folder: Path) -> None:
    edit(folder, "metadata.json", lambda found: found["input"].update(mean=128.0, std=128.0))


def other_score(folder: Path) -> None:
    edit(folder, "golden/expected.json", lambda found: found["pictures"][2]["detections"][0].update(score=0.9))


def other_box(folder: Path) -> None:
    edit(folder, "golden/expected.json", lambda found: found["pictures"][0]["detections"][0].update(box=[0, 0, 0.2, 1]))


def other_raw_value(folder: Path) -> None:
    def change(found: Any) -> None:
        found["pictures"][1]["raw"]["class_scores"]["sample"][7] += 0.01

    edit(folder, "golden/expected.json", change)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (other_model, {"golden pictures", "by the kernels of apps"}),
        (other_labels_inside, {"embedded"}),
        (other_name_inside, {"embedded"}),
        (nothing_inside, {"embedded"}),
        (swapped_labels, {"classes", "embedded", "golden pictures", "by the kernels of apps"}),
        (swapped_everywhere, {"classes", "embedded", "golden pictures", "by the kernels of apps"}),
        (one_more_label, {"classes", "embedded"}),
        (other_normalisation, {"golden pictures", "by the kernels of apps"}),
        (other_score, {"golden pictures", "by the kernels of apps"}),
        (other_box, {"golden pictures", "by the kernels of apps"}),
        (other_raw_value, {"golden pictures", "by the kernels of apps"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_differs_is_found(release: Path, change: Change, failing: set[str]) -> None:
    change(release)
    report = run(release)
    assert not report["ok"]
    assert {check["name"] for check in report["checks"] if not check["ok"]} == failing


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit(folder, "metadata.json", lambda found: found["input"].update(shape=[1, 16, 16, 3])),
        lambda folder: edit(folder, "metadata.json", lambda found: found["input"].update(dtype="uint8")),
        lambda folder: edit(folder, "metadata.json", lambda found: found["input"].update(std=0)),
        lambda folder: edit(folder, "metadata.json", lambda found: found["input"].update(mean=float("inf"))),
        lambda folder: edit(
            folder, "metadata.json", lambda found: found["input"].update(shape=[1, float("inf"), 8, 3])
        ),
        lambda folder: edit(folder, "metadata.json", lambda found: found["outputs"].update(tensors=[])),
        lambda folder: (folder / "model.tflite").write_bytes(b"not a model " * 100),
    ],
    ids=["shape", "type", "normalisation", "infinite mean", "infinite shape", "outputs", "model"],
)
def test_a_model_that_is_not_as_described_is_a_check_that_failed(release: Path, change: Change) -> None:
    change(release)
    report = run(release)
    assert not report["ok"] and not report["exact"]
    assert [check["name"] for check in report["checks"] if not check["ok"]] == ["model"]


def put(*path: Any) -> Callable[[Path], None]:
    """Puts the last of ``path`` at the place in expected.json that the others name."""

    def change(folder: Path) -> None:
        def replace(found: Any) -> None:
            for part in path[:-2]:
                found = found[part]
            found[path[-2]] = path[-1]

        edit(folder, "golden/expected.json", replace)

    return change


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    "change",
    [
        put("format", 2),
        put("pictures", []),
        put("pictures", 0, "picture", "../../labels.txt"),
        put("pictures", 0, "detections", 0, "score", float("nan")),
        put("pictures", 0, "detections", 0, "label", "blue"),
        put("pictures", 0, "detections", 0, "class", True),
        put("pictures", 0, "detections", 0, {"class": 10**30, "label": f"class {10**30}", "score": 1, "box": [0] * 4}),
        put("pictures", 0, "raw", "class_scores", "sample", [0.0] * 1000),
        put("pictures", 0, "raw", {}),
        put("kernels", "strange"),
        put("runtime", None),
        lambda folder: (folder / "golden/expected.json").write_text("[" * 100_000),
        lambda folder: (folder / "golden/expected.json").write_bytes(b"\xff"),
        lambda folder: (folder / "golden/expected.json").unlink(),
        lambda folder: (folder / "metadata.json").write_text("[]"),
        lambda folder: (folder / "labels.txt").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "golden/1.png").unlink(),
        lambda folder: (folder / "golden/1.png").write_bytes(b"GIF89a"),
        lambda folder: (folder / "golden/2.png").write_bytes((folder / "golden/1.png").read_bytes()),
        lambda folder: Image.new("RGB", (9, 8)).save(folder / "golden/1.png"),
        lambda folder: Image.new("L", (8, 8)).save(folder / "golden/1.png"),
    ],
)
def test_golden_files_that_cannot_be_used_are_a_failure(release: Path, change: Change) -> None:
    change(release)
    with pytest.raises(contract.Failure) as caught:
        run(release)
    assert caught.value.code.startswith("golden-")
    assert "\n" not in caught.value.message


def test_another_runtime_is_given_more_room(release: Path) -> None:
    expected, here = golden.read(release / "golden"), dict(litert.runtime(), machine=recheck.platform.machine())
    same = recheck.tolerance_for(expected, METADATA, here)
    for name in ("version", "machine"):
        other = recheck.tolerance_for(expected, METADATA, {**here, name: "another"})
        assert other["score"] > same["score"] and other["iou"] < same["iou"]
    quantized = {**METADATA, "quantization": {"type": "int8"}}
    assert recheck.tolerance_for(expected, quantized, {**here, "version": "9"})["raw"] > other["raw"]


def test_a_few_unmatched_detections_are_judged_over_all_pictures(release: Path) -> None:
    row = golden.read(release / "golden")["pictures"][0]
    more = copy.deepcopy(row)
    more["detections"].append({"label": "green", "class": 0, "score": 0.02, "box": [0.9, 0.9, 1.0, 1.0]})
    rows = [dict(golden.differences(row, row), picture="1.png") for _ in range(30)]
    rows.append(dict(golden.differences(row, more), picture="2.png"))
    assert recheck.judged("golden pictures", rows, recheck.SAME)["ok"]
    assert not recheck.judged("golden pictures", rows[-5:], recheck.SAME)["ok"]


def test_the_digest_of_a_set_changes_with_any_picture_and_id() -> None:
    listed = [{"id": number, "pixels": certificate.pixels_digest(tiny.picture(number, 0))} for number in range(3)]
    digest = certificate.set_digest(listed)
    assert digest != certificate.set_digest([*listed[:2], {**listed[2], "id": 7}])
    assert digest != certificate.set_digest([*listed[:2], {**listed[2], "pixels": listed[0]["pixels"]}])
    assert digest == certificate.set_digest(copy.deepcopy(listed))
