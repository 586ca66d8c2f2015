"""verify, measure, package and detect, run on a hand-made .tflite whose answers are known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import contract
import detect
import drawing
import isolated
import litert
import measure
import numpy as np
import package
import pytest
import tiny_tflite as tiny
import verify
from PIL import Image

OUTPUTS = {
    "tensors": [
        {"index": index, "name": tiny.OP + (f":{index}" if index else ""), "meaning": meaning}
        for index, meaning in enumerate(("boxes", "classes", "scores", "count"))
    ],
    "box_format": "ymin xmin ymax xmax, normalised",
    "index_base": 0,
    "max_detections": 4,
    "nms": {"mode": "fast"},
}
CLASSES = ["green", "blue"]
MODEL = {
    "architecture": "ssd_mobilenet_v2",
    "depth_multiplier": 0.25,
    "max_detections": 4,
    "nms": {"iou_threshold": 0.6, "score_threshold": 1e-8},
}
CELLS = [(row, (3 * row) % 8, 1 + row % 2) for row in range(8)]


def infer_folder(root: Path, cells: list[tuple[int, int, int]]) -> None:
    """What infer would have written for pictures with one lit cell (row, column, channel), 80 x 160 pixels each."""
    (root / "inputs").mkdir(parents=True)
    images, rows, boxes, raw_scores = [], [], [], []
    for number, (row, column, channel) in enumerate(cells, 1):
        pixels = tiny.picture(row, column, channel)
        Image.fromarray(pixels).save(root / "inputs" / f"{number}.png")
        images.append({"id": number, "file_name": f"p{number}.jpg", "width": 80, "height": 160})
        rows.append({"id": number, "image_id": number, "category_id": channel, "iscrowd": 0, "area": 200,
                     "bbox": [column * 10, row * 20, 10, 20]})  # fmt: skip
        found = [[row / 8, column / 8, (row + 1) / 8, (column + 1) / 8]] + [[0.0] * 4] * 3
        boxes.append(found)
        raw_scores.append(litert.normalise(pixels, tiny.INPUT)[0].reshape(64, 3))
    count = len(cells)
    arrays = {
        "image_id": np.arange(1, count + 1, dtype=np.int64),
        "boxes": np.array(boxes, np.float32),
        "scores": np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        "classes": np.array([[cell[2] - 1, -1, -1, -1] for cell in cells], np.int32),
        "count": np.ones(count, np.int32),
        "raw_image_id": np.arange(1, count + 1, dtype=np.int64),
        "raw_boxes": np.zeros((count, 64, 4), np.float32),
        "raw_scores": np.array(raw_scores, np.float32),
    }
    for name in ("frozen", "tflite_tf1"):
        np.savez(root / f"{name}.npz", **arrays)
    categories = [{"id": index, "name": name} for index, name in enumerate(CLASSES, 1)]
    contract.write_json(root / "eval.json", {"images": images, "annotations": rows, "categories": categories})
    tensorflow = {"name": "tensorflow", "version": "1.15.5"}
    contract.write_json(root / "runtimes.json", {"frozen": tensorflow, "tflite_tf1": tensorflow})


def request(step: str, root: Path, params: dict[str, Any], **inputs: Path) -> contract.Request:
    output = root / step
    output.mkdir(parents=True)
    return contract.Request(step, params, {name: str(path) for name, path in inputs.items()}, str(output), 2, "nonce")


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name for name in ("inferred", "converted", "graph", "data", "weights")}
    for name in ("converted", "graph", "data", "weights"):
        found[name].mkdir()
    infer_folder(found["inferred"], CELLS)
    (found["converted"] / "model.tflite").write_bytes(tiny.build())
    contract.write_json(found["converted"] / "input.json", tiny.INPUT)
    trained(found["weights"], 12)
    contract.write_json(found["graph"] / "outputs.json", OUTPUTS)
    split = {"digest": "sha256:" + "0" * 64, "images": [{"id": "x", "sha256": "y"}]}
    contract.write_json(found["data"] / "split.json", {"train": split, "eval": split})
    return found


def trained(folder: Path, steps: int) -> None:
    """What a training of so many steps leaves."""
    for ending in ("index", "data-00000-of-00001"):
        (folder / f"model.ckpt.{ending}").write_text(ending)
    rows = [{"step": step, "loss": 1.0 / step, "learning_rate": 0.1} for step in range(1, steps + 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    contract.write_json(folder / "summary.json", {"steps": steps, "weights_of_step": steps})


def run_verify(root: Path, folders: dict[str, Path]) -> Path:
    root.mkdir(exist_ok=True)
    asked = request(
        "verify",
        root,
        {"model": MODEL, "classes": CLASSES, "quantization": {"type": "float32"}},
        inferred=folders["inferred"],
        converted=folders["converted"],
        graph=folders["graph"],
    )
    verify.main(asked)
    return root / "verify"


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def test_detector_finds_the_lit_cell_and_reads_only_what_was_counted() -> None:
    detector = litert.Detector(tiny.build(), tiny.INPUT)
    boxes, scores, classes = detector.detect(tiny.picture(2, 3, 2))
    assert boxes.tolist() == [[0.25, 0.375, 0.375, 0.5]]
    assert scores.tolist() == [1.0]
    assert classes.tolist() == [1]
    heads = detector.raw_heads()
    assert heads is not None
    assert [part.shape for part in heads] == [(64, 4), (64, 3)]


def test_verify_scores_all_stages_alike_and_twice_the_same(tmp_path: Path, folders: dict[str, Path]) -> None:
    first = run_verify(tmp_path / "one", folders)
    metrics = read(first / "metrics.json")
    assert set(metrics["stages"]) == {"frozen", "tflite_tf1", "tflite_litert"}
    for stage in metrics["stages"].values():
        assert stage["map"] == stage["map50"] == stage["ar100"] == 1.0
        assert set(stage["per_class"]) == set(CLASSES)
    assert metrics["constant_baseline"]["map50"] < 0.6
    assert not metrics["degenerate"]["constant_answer"]
    certificate = read(first / "certificate.json")
    (evaluated,) = certificate["image_sets"].values()
    assert set(evaluated["pairs"]) == {"frozen:tflite_tf1", "frozen:tflite_litert", "tflite_tf1:tflite_litert"}
    for pair in evaluated["pairs"].values():
        assert pair["matched"] == len(CELLS)
        assert pair["unmatched"] == 0
        assert pair["max_box_diff"] < 1e-5
        assert pair["raw"]["max_raw_score_diff"] < 1e-5
    assert metrics["images"] == len(CELLS)
    assert metrics["size"] == len(tiny.build())
    litert_here = {"name": "ai-edge-litert", "version": "2.3.0", "numpy": np.__version__}
    assert certificate["runtimes"]["tflite_litert"] == litert_here
    assert certificate["runtimes"]["frozen"]["version"] == "1.15.5"
    assert certificate["model_digest"] == metrics["model_digest"]
    assert [image["file_name"] for image in evaluated["images"]] == [f"p{row}.jpg" for row in range(1, 9)]
    seen = "sha256:" + hashlib.sha256(tiny.picture(*CELLS[0]).tobytes()).hexdigest()
    assert evaluated["images"][0]["pixels"] == seen
    for stage, figures in evaluated["stages"].items():
        assert figures["map50"] == metrics["stages"][stage]["map50"]
    second = run_verify(tmp_path / "two", folders)
    for name in ("metrics.json", "certificate.json", "evaluation.json", "golden/expected.json", "golden/1.png",
                 "detections.png"):  # fmt: skip
        assert (first / name).read_bytes() == (second / name).read_bytes()
    with Image.open(first / "detections.png") as image:
        assert image.width > 1000
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
        assert {drawing.colour_of(0), drawing.colour_of(1)} <= colours


def test_verify_reports_a_model_that_ignores_the_picture(tmp_path: Path, folders: dict[str, Path]) -> None:
    folders["inferred"] = tmp_path / "constant"
    infer_folder(folders["inferred"], [(4, 4, 1)] * 6)
    metrics = read(run_verify(tmp_path / "out", folders) / "metrics.json")
    assert metrics["stages"]["tflite_litert"]["map"] == 1.0
    assert metrics["degenerate"]["constant_answer"]


def fuzzed(seed: int) -> bytes:
    data = bytearray(tiny.build())
    state = np.random.RandomState(seed)
    for place in state.randint(8, len(data), 40):
        data[place] = state.randint(256)
    return bytes(data)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a model " * 100, tiny.build()[:1500], b"\x1c\0\0\0TFL3" + bytes(2000), tiny.build(op="Unheard_Of"),
     tiny.build(height=16), fuzzed(1), fuzzed(2)],
    ids=["empty", "text", "half", "zeros", "unknown operator", "other input", "fuzzed 1", "fuzzed 2"],
)  # fmt: skip
def test_a_bad_model_is_a_failure(content: bytes, tmp_path: Path, folders: dict[str, Path]) -> None:
    (folders["converted"] / "model.tflite").write_bytes(content)
    with pytest.raises(contract.Failure) as caught:
        run_verify(tmp_path / "out", folders)
    assert caught.value.code in {"model-unreadable", "model-input", "model-output", "model-run", "model-crash"}
    assert "\n" not in caught.value.message


def test_a_runtime_that_dies_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(tiny.build())
    crash = tmp_path / "crash.py"
    crash.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(isolated, "__file__", str(crash))
    with pytest.raises(contract.Failure) as caught:
        isolated.trial(str(model), tiny.INPUT, litert.ROLES)
    assert caught.value.code == "model-crash"
    assert "signal 11" in caught.value.message


@pytest.mark.parametrize(
    "change",
    [{"std": 0}, {"mean": None}, {"mean": float("nan")}, {"shape": [8, 8, 3]}, {"dtype": "int8"}, {"color": "BGR"}],
)
def test_an_unusable_input_description_is_a_failure(change: dict[str, Any]) -> None:
    with pytest.raises(contract.Failure) as caught:
        litert.check_input({**tiny.INPUT, **change})
    assert caught.value.code == "model-input"


def test_measure_names_the_cpu(tmp_path: Path, folders: dict[str, Path]) -> None:
    asked = request(
        "measure",
        tmp_path,
        {"model": MODEL, "threads": 1},
        converted=folders["converted"],
        graph=folders["graph"],
    )
    measure.main(asked)
    found = read(tmp_path / "measure" / "latency.json")
    assert 0 < found["latency_ms"]["median"] <= found["latency_ms"]["p90"]
    assert found["cpu"]
    assert found["threads"] == 1
    assert 10 < found["runtime_memory_mb"] <= found["peak_memory_mb"] < 500
    assert found["runtime"] == {"name": "ai-edge-litert", "version": "2.3.0"}


PACKAGE = {
    "name": "cells",
    "version": "1.0.0",
    "manifest_digest": "sha256:" + "1" * 64,
    "classes": CLASSES,
    "model": MODEL,
    "quantization": {"type": "float32"},
    "release": {"license": "MIT", "description": "Lit cells.", "authors": ["A. Smith"]},
    "toolchains": {"tf1.15": "sha256:" + "2" * 64, "litert": "sha256:" + "3" * 64},
    "dataset_digest": None,
}


def run_package(root: Path, folders: dict[str, Path], verified: Path) -> Path:
    root.mkdir()
    inputs = {name: path for name, path in folders.items() if name != "inferred"}
    package.main(request("package", root, PACKAGE, verified=verified, **inputs))
    return root / "package"


def test_package_is_reproducible_and_says_how_to_use_the_model(tmp_path: Path, folders: dict[str, Path]) -> None:
    verified = run_verify(tmp_path, folders)
    first, second = (run_package(tmp_path / name, folders, verified) for name in ("one", "two"))
    names = sorted(path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file())
    weights = ["checkpoint/model.ckpt.data-00000-of-00001", "checkpoint/model.ckpt.index"]
    golden = [f"golden/{number}.png" for number in range(1, 9)] + ["golden/expected.json"]
    assert names == ["certificate.json", *weights, "detections.png", "evaluation.json", *golden, "labels.txt",
                     "metadata.json", "metrics.json", "model.tflite", "training.json"]  # fmt: skip
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / "labels.txt").read_bytes() == b"green\nblue\n"
    metadata = read(first / "metadata.json")
    assert metadata["input"] == tiny.INPUT
    assert metadata["outputs"] == OUTPUTS
    assert metadata["labels"] == {"names": CLASSES, "index_base": 0, "file": "labels.txt"}
    for name, entry in metadata["files"].items():
        data = (first / name).read_bytes()
        assert entry == {"digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert metadata["metrics"]["model_digest"] == metadata["files"]["model.tflite"]["digest"]
    assert metadata["operating_point"] == read(first / "metrics.json")["operating_point"]
    assert set(metadata["files"]) == set(names) - {"metadata.json"}
    (stage,) = read(first / "training.json")["stages"]
    assert (stage["step"], stage["curves"]["loss"][0], len(stage["curves"]["loss"])) == ("train", [1, 1.0], 12)


def test_a_release_tells_of_both_trainings_where_there_were_two(tmp_path: Path, folders: dict[str, Path]) -> None:
    folders["trained"] = tmp_path / "trained"
    folders["trained"].mkdir()
    trained(folders["trained"], 300)
    packaged = run_package(tmp_path / "one", folders, run_verify(tmp_path, folders))
    stages = read(packaged / "training.json")["stages"]
    assert [(stage["step"], stage["steps"], len(stage["curves"]["loss"])) for stage in stages] == [
        ("train", 300, 250), ("qat", 12, 12),
    ]  # fmt: skip
    assert (packaged / "checkpoint" / "model.ckpt.index").read_bytes() == b"index"


@pytest.mark.parametrize("name", ["metrics.json", "certificate.json", "evaluation.json", "golden/expected.json"])
def test_figures_of_another_model_are_refused(tmp_path: Path, folders: dict[str, Path], name: str) -> None:
    verified = run_verify(tmp_path, folders)
    document = read(verified / name)
    contract.write_json(verified / name, {**document, "model_digest": "sha256:" + "0" * 64})
    with pytest.raises(contract.Failure, match=name) as caught:
        run_package(tmp_path / "one", folders, verified)
    assert caught.value.code == "package-metrics"


def run_detect(root: Path, release: Path, pictures: Path, threshold: float | None = 0.5) -> Path:
    detect.main(request("detect", root, {"threshold": threshold}, release=release, pictures=pictures))
    return root / "detect"


@pytest.fixture
def release(tmp_path: Path, folders: dict[str, Path]) -> Path:
    root = tmp_path / "built"
    return run_package(root, folders, run_verify(tmp_path, folders))


def test_detect_draws_upright_pictures_at_full_size(tmp_path: Path, release: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    # Stored lying, shown upright: 320 x 640 once turned, the lit cell in row 6, column 1.
    upright = Image.fromarray(tiny.picture(6, 1)).resize((320, 640), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(pictures / "lying.jpg", quality=95, exif=exif)
    upright.save(pictures / "a.png")
    upright.save(pictures / "a.jpg", quality=95)
    Image.new("L", (50, 40)).save(pictures / "dark.png")
    out = run_detect(tmp_path, release, pictures, threshold=0.05)
    records = {record["source"]: record for record in read(out / "detections.json")}
    assert [record["picture"] for record in records.values()] == ["a.jpg.png", "a.png.png", "dark.png", "lying.png"]
    assert records["dark.png"]["detections"] == []
    for name in ("lying.jpg", "a.png", "a.jpg"):
        (found,) = records[name]["detections"]
        assert found["label"] == "green"
        assert found["score"] == pytest.approx(0.125, abs=0.03)  # the filter averages into the neighbours
        assert found["box"] == [40.0, 480.0, 80.0, 560.0]
        assert (records[name]["width"], records[name]["height"]) == (320, 640)
        with Image.open(out / records[name]["picture"]) as drawn:
            assert drawn.size == (320, 640)
            colours = {colour for _, colour in drawn.getcolors(1 << 24)}
            assert drawing.colour_of(0) in colours


def test_detect_draws_from_the_score_that_the_release_advises(tmp_path: Path, release: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.fromarray(tiny.picture(6, 1)).save(pictures / "lit.png")
    advised = read(release / "metadata.json")["operating_point"]["score"]
    everything, worth_showing = (
        read(run_detect(tmp_path / str(score), release, pictures, threshold=score) / "detections.json")[0]["detections"]
        for score in (0.0, None)
    )
    assert worth_showing == [found for found in everything if found["score"] >= advised]
    metadata = read(release / "metadata.json")
    del metadata["operating_point"]
    (release / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(contract.Failure, match="advises no score"):
        run_detect(tmp_path / "none", release, pictures, threshold=None)


@pytest.mark.parametrize("content", [b"", b"GIF89a" + bytes(100), b"\xff\xd8\xff\xe0" + bytes(50)])
def test_a_bad_picture_is_a_failure_with_its_name(content: bytes, tmp_path: Path, release: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "broken.jpg").write_bytes(content)
    with pytest.raises(contract.Failure) as caught:
        run_detect(tmp_path, release, pictures)
    assert caught.value.code == "dataset-picture"
    assert "broken.jpg" in caught.value.message


def test_drawings_of_two_files_never_share_a_name() -> None:
    names = ["a.jpg", "a.jpg.png", "a.png", "b.jpeg", "c"]
    drawn = detect.drawn_names(names)
    assert len(set(drawn)) == len(names)
    assert drawn[3:] == ["b.png", "c.png"]


def test_drawing_survives_odd_boxes() -> None:
    image = Image.new("RGB", (40, 30), (90, 90, 90))
    boxes = [[-50, -50, 500, 500], [10, 10, 10, 10], [39, 29, 40, 30], [30, 20, 5, 5]]
    drawn = drawing.draw(image, boxes, [0, 1, 12, 1], [0.9, 0.5, 0.4, 0.3], ["a label far too long to fit", "b"])
    assert drawn.size == image.size
    assert image.getcolors() == [(1200, (90, 90, 90))]
    assert drawing.png(drawn) == drawing.png(drawn)
