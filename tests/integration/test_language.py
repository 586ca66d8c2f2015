"""One tiny real build for each row of the language: formats, quantizations, toolchains, warm starts."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image, ImageDraw

from builder.engine.virtualenv import ensure_environment
from builder.lock.toolchains import resolve_toolchain
from builder.resources import toolchain_folder
from builder.settings import cache_folder
from tests.fakes import Events
from tests.integration.conftest import BUILD, build, locked, manifest, runner
from tests.integration.partly import Partly

pytestmark = pytest.mark.toolchain

SIZE, SIDE = (112, 96), 40


# Formats, and the levers of the network


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str, tuple[int, int, int, int]]]]:
    """A project with 30 drawings of one shape each, and (stem, label, edges) of them."""
    root = tmp_path_factory.mktemp("formats")
    (root / "data" / "images").mkdir(parents=True)
    rows = []
    for number in range(30):
        random = numpy.random.RandomState(number)
        image = Image.fromarray(random.randint(80, 120, (SIZE[1], SIZE[0], 3)).astype(numpy.uint8))
        x, y = random.randint(0, SIZE[0] - SIDE), random.randint(0, SIZE[1] - SIDE)
        edges, label = (int(x), int(y), int(x + SIDE), int(y + SIDE)), ("circle", "square")[number % 2]
        draw = ImageDraw.Draw(image)
        draw.ellipse(edges, fill="red") if label == "circle" else draw.rectangle(edges, fill="blue")
        image.save(root / "data" / "images" / f"s{number:02d}.jpg", quality=95)
        rows.append((f"s{number:02d}", label, edges))
    return root, rows


def write_voc(data: Path, rows: list[Any]) -> str:
    (data / "annotations").mkdir()
    for stem, label, edges in rows:
        box = "".join(
            f"<{key}>{edge}</{key}>" for key, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True)
        )
        text = f"<annotation><object><name>{label}</name><bndbox>{box}</bndbox></object></annotation>"
        (data / "annotations" / f"{stem}.xml").write_text(text)
    return "annotations: annotations"


def write_coco(data: Path, rows: list[Any]) -> str:
    labels = ["circle", "square"]
    document = {
        "images": [{"id": number, "file_name": f"{stem}.jpg", "width": SIZE[0], "height": SIZE[1]}
                   for number, (stem, _, _) in enumerate(rows)],
        "annotations": [{"id": number, "image_id": number, "category_id": labels.index(label), "iscrowd": 0,
                         "bbox": [edges[0], edges[1], SIDE, SIDE]} for number, (_, label, edges) in enumerate(rows)],
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels)],
    }  # fmt: skip
    (data / "boxes.json").write_text(json.dumps(document))
    return "annotations: boxes.json"


def write_yolo(data: Path, rows: list[Any]) -> str:
    (data / "labels").mkdir()
    for stem, label, edges in rows:
        x, y = (edges[0] + SIDE / 2) / SIZE[0], (edges[1] + SIDE / 2) / SIZE[1]
        line = f"{int(label == 'square')} {x:.9f} {y:.9f} {SIDE / SIZE[0]:.9f} {SIDE / SIZE[1]:.9f}\n"
        (data / "labels" / f"{stem}.txt").write_text(line)
    return "annotations: labels"


def write_csv(data: Path, rows: list[Any]) -> str:
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    lines += [f"{stem}.jpg,{SIZE[0]},{SIZE[1]},{label},{','.join(map(str, edges))}" for stem, label, edges in rows]
    (data / "boxes.csv").write_text("\n".join(lines))
    return "annotations: boxes.csv"


_RECORDS = """
import json, os, sys
import tensorflow as tf
folder, rows = sys.argv[1], json.load(sys.stdin)
F, B, I, L = tf.train.Feature, tf.train.BytesList, tf.train.FloatList, tf.train.Int64List
with tf.io.TFRecordWriter(os.path.join(folder, "shapes.tfrecord")) as writer:
    for stem, label, edges in rows:
        with open(os.path.join(folder, "images", stem + ".jpg"), "rb") as stream:
            encoded = stream.read()
        feature = {"image/encoded": F(bytes_list=B(value=[encoded])),
                   "image/filename": F(bytes_list=B(value=[(stem + ".jpg").encode()])),
                   "image/object/class/text": F(bytes_list=B(value=[label.encode()]))}
        for side, edge, size in zip(("xmin", "ymin", "xmax", "ymax"), edges, (112, 96, 112, 96)):
            feature["image/object/bbox/" + side] = F(float_list=I(value=[edge / float(size)]))
        writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
"""


def write_tfrecord(data: Path, rows: list[Any]) -> str:
    folder = ensure_environment(resolve_toolchain("tf1.15"), toolchain_folder("tf1.15"), cache_folder(), Events())
    subprocess.run([str(folder / "bin" / "python"), "-W", "ignore", "-c", _RECORDS, str(data)],
                   input=json.dumps(rows), text=True, check=True, stderr=subprocess.DEVNULL)  # fmt: skip
    return "records: [shapes.tfrecord]"


def drawings(kind: str, keys: str) -> str:
    """A manifest's section of the drawings in the format ``kind``."""
    images = "" if kind == "tfrecord" else "\n  images: images"
    return (f"\n  format: {kind}\n  source: {{name: shapes, path: ../data}}{images}\n  {keys}\n"
            "  classes: [circle, square]\n  split: {eval: 0.3, seed: 5}")  # fmt: skip


LEVERS = """
  architecture: ssdlite_mobilenet_v2
  depth_multiplier: 0.5
  min_depth: 8
  input_shape: [96, 160, 3]
  max_detections: 7
  nms: {mode: regular, score_threshold: 0.001}
  anchors: {min_scale: 0.1, max_scale: 0.8, aspect_ratios: [1.0, 2.0], reduce_lowest: false}"""


@pytest.fixture(scope="module")
def wide(shapes: Any) -> tuple[Path, Callable[..., str], Any]:
    """The project, the tiny manifest of its data in the format voc and of LEVERS, and what ``build`` says of it."""
    root, rows = shapes
    sections = {"dataset": drawings("voc", write_voc(root / "data", rows)), "model": LEVERS}
    (made,) = build(runner(root), root, "wide", manifest("wide", **sections))
    return root, partial(manifest, **sections), made


def test_a_format_and_the_levers_of_the_network_build(wide: tuple[Path, Callable[..., str], Any]) -> None:
    root, _, made = wide
    assert made["released"] and made["metrics"]["images"] == 9
    metadata = json.loads((root / "build/wide-1.0.0/metadata.json").read_text())
    assert metadata["dataset"]["splits"]["train"]["images"] == 21
    assert metadata["input"]["shape"] == [1, 96, 160, 3]
    assert metadata["outputs"]["nms"]["mode"] == "regular" and metadata["outputs"]["max_detections"] == 7
    assert made["latency"]["threads"] == 1, "ai-edge-litert loses classes in regular suppression with more"
    assert made["model"]["size"] < 4_000_000


@pytest.fixture(scope="module")
def ingested(shapes: Any, wide: tuple[Path, Callable[..., str], Any]) -> Callable[[Any], tuple[Partly, Partly]]:
    """What ingest leaves of the drawings in a format, and in the format voc."""
    root, rows = shapes
    store = root / ".tinsmith" / "store"

    def ingested(write: Any) -> tuple[Partly, Partly]:
        kind = write.__name__.removeprefix("write_")
        path = locked(runner(root), root, kind, manifest(kind, dataset=drawings(kind, write(root / "data", rows))))
        return Partly("ingest", root / path, store), Partly("ingest", root / "manifests" / "wide.yaml", store)

    return ingested


@pytest.mark.parametrize("write", [write_coco, write_csv])
def test_every_format_gives_the_steps_after_it_the_same_bytes(ingested: Any, write: Any) -> None:
    """Of the same pictures and boxes: what is trained, held out and scored is then the same, too."""
    other, usual = ingested(write)
    for path in ("train.tfrecord", "eval.tfrecord", "eval.json"):
        assert other.read("ingest", path) == usual.read("ingest", path), path


@pytest.mark.parametrize("write", [write_yolo, write_tfrecord])
def test_formats_of_shares_give_the_steps_after_them_the_same_pictures_and_boxes(ingested: Any, write: Any) -> None:
    """Edges that are written as shares of a picture are rounded; and pictures in records have other names."""
    found = ingested(write)
    split, held = ([json.loads(each.read("ingest", path)) for each in found] for path in ("split.json", "eval.json"))
    for part in ("train", "eval"):
        other, usual = (sorted(image["sha256"] for image in each[part]["images"]) for each in split)
        assert other == usual
    boxes, labels = ([[row[key] for row in each["annotations"]] for each in held] for key in ("bbox", "category_id"))
    numpy.testing.assert_allclose(boxes[0], boxes[1], atol=1e-4)
    assert labels[0] == labels[1]


# Quantizations


def test_every_quantization_of_one_training(quantized: tuple[Path, dict[str, Any]]) -> None:
    root, made = quantized
    sizes = {name: item["model"]["size"] for name, item in made.items()}
    assert sizes["q-float32@1.0.0"] > 1.8 * sizes["q-float16@1.0.0"] > 2.4 * sizes["q-int8-1@1.0.0"]
    assert sizes["q-uint8-qat@1.0.0"] < sizes["q-dynamic@1.0.0"] < sizes["q-int8-1@1.0.0"]
    dtypes = {name: json.loads((root / "build" / name.replace("@", "-") / "metadata.json").read_text())["input"]
              for name in made}  # fmt: skip
    taken = {name.partition("@")[0]: found["dtype"] for name, found in dtypes.items()}
    assert taken == {"q-float32": "float32", "q-float16": "float32", "q-dynamic": "float32", "q-int8-1": "float32",
                     "q-int8-2": "uint8", "q-uint8-qat": "uint8"}  # fmt: skip
    assert set(made["q-uint8-qat@1.0.0"]["metrics"]["stages"]) == {"float", "frozen", "tflite_litert", "tflite_tf1"}
    trainings = json.loads((root / "build" / "q-uint8-qat-1.0.0" / "training.json").read_text())["stages"]
    assert [(stage["step"], stage["steps"]) for stage in trainings] == [("train", 250), ("qat", 4)]
    pictures = json.loads((root / "build" / "q-1.0.0-variants.json").read_text())
    assert len(pictures) == 6 and (root / "build" / "q-1.0.0-variants.png").stat().st_size > 10_000
    # A second build, in another place of the same store, runs nothing.
    again = runner(root)("build", "manifests/q.yaml", *BUILD, "--progress", "json")
    assert '"started"' not in again.stderr


# Toolchains


@pytest.mark.parametrize("toolchain", ["tf1.12", "tf1.15-mkl"])
def test_the_same_manifest_builds_in_every_toolchain(tmp_path: Path, toolchain: str) -> None:
    text = manifest("chain").replace("toolchain: tf1.15", f"toolchain: {toolchain}")
    (made,) = build(runner(tmp_path), tmp_path, "chain", text)
    certificate = json.loads((tmp_path / "build/chain-1.0.0/certificate.json").read_text())
    pairs = certificate["image_sets"]["eval"]["pairs"]
    assert made["released"] and pairs["frozen:tflite_litert"]["raw"]["max_raw_box_diff"] < 1e-2
    version = certificate["runtimes"]["frozen"]["version"]
    assert version == {"tf1.12": "1.12.3", "tf1.15-mkl": "1.15.2"}[toolchain]


# Warm starts


def test_warm_starts(wide: tuple[Path, Callable[..., str], Any]) -> None:
    root, like_it, _ = wide
    run = runner(root)
    # As the model zoo has them: in a folder of the archive, called model.ckpt.
    (root / "zoo" / "ssd_mobilenet_v2").mkdir(parents=True)
    for path in (root / "build" / "wide-1.0.0" / "checkpoint").iterdir():
        (root / "zoo" / "ssd_mobilenet_v2" / path.name).write_bytes(path.read_bytes())

    def from_weights(name: str, init: str, depth: str = "0.25") -> str:
        text = like_it(name).replace("steps: 4", f"steps: 4\n  init: {init}")
        return locked(run, root, name, text.replace("multiplier: 0.5", f"multiplier: {depth}"))

    def start(*words: str) -> Any:
        path = root / from_weights(*words)
        trained = Partly("train", path, root / ".tinsmith/store", releases=root / "releases")
        return json.loads(trained.read("train", "coverage.json"))

    def refused(*words: str) -> str:
        return run("build", from_weights(*words), *BUILD, status=4).stderr

    zoo = start("zoo", "{checkpoint: {name: zoo, path: ../zoo}}", "0.5")
    assert zoo["covered"] == 1 and zoo["variables"]["restored"] == len(zoo["each"])
    sliced = start("sliced", "{release: wide@1.0.0, slice: true, min_coverage: 0.95}")
    assert sliced["covered"] == 1 and sliced["variables"]["sliced"] > 200
    said = refused("refused", "{release: wide@1.0.0, min_coverage: 0.5}")
    covered = re.search(r"init-coverage.*covers ([0-9.]+)% of the network's parameters", said)
    assert covered is not None and float(covered[1]) < 10
    # One table with its totals, not a line a variable.
    assert "re-initialised" in said and "expanded_conv_2 .. layer_19" in said
    assert said.count("FeatureExtractor") == 0
    index = root / "zoo" / "ssd_mobilenet_v2" / "model.ckpt.index"
    index.write_bytes(index.read_bytes()[:100])
    assert "init-checkpoint" in refused("broken", "{checkpoint: {name: zoo, path: ../zoo}}")
