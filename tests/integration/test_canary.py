"""Canaries with real TensorFlow: the whole chain in every kind of numbers, and what it catches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.integration.conftest import BUILD, locked, manifest, runner, step_python

pytestmark = pytest.mark.toolchain

CANARY = (*BUILD, "--canary")


def test_a_canary_of_each_kind_of_numbers(tmp_path: Path) -> None:
    run = runner(tmp_path)
    text = manifest("q", quantization="[float32, int8, {type: uint8-qat, steps: 4000, delay: 1000}]",
                    verify="{min_map50: 0.9, max_size: 1.5 MB}")  # fmt: skip
    text = text.replace("steps: 4\n", "steps: 40000\n").replace("warmup_steps: 2", "warmup_steps: 3000")
    text = text.replace("images: 60", "images: 100000").replace("checkpoint_every: 3", "checkpoint_every: 500")
    path = locked(run, tmp_path, "q", text)
    done = run("build", path, *CANARY)
    found = {item["release"]: item for item in json.loads(done.stdout)}
    assert list(found) == [f"q-{kind}@1.0.0-canary" for kind in ("float32", "int8", "uint8-qat")]
    assert not (tmp_path / "releases").exists()
    for kind in ("float32", "int8", "uint8-qat"):
        item, folder = found[f"q-{kind}@1.0.0-canary"], tmp_path / "build" / f"q-{kind}-1.0.0-canary"
        assert item["misses"] == [] and not item["released"]
        assert item["canary"]["sample"] == {"train": 48, "eval": 24, "not_opened": 99_928, "total": 100_000}
        assert "min_map50" in item["canary"]["not_judged"] and item["metrics"]["images"] == 24
        assert item["metrics"]["size"] == pytest.approx(item["canary"]["predicted"]["tflite_bytes"], rel=0.01)
        assert json.loads((folder / "metadata.json").read_text())["version"] == "1.0.0-canary"
        assert len((folder / "training" / "metrics.jsonl").read_text().splitlines()) == 12
    # One sample, one float training.
    assert [done.stderr.count(f"{step:8} started") for step in ("ingest", "train", "convert")] == [1, 1, 3]
    # Nothing runs again to judge the same models by a budget that they miss.
    locked(run, tmp_path, "q", text.replace("max_size: 1.5 MB", "max_size: 1 MB"))
    done = run("build", path, *CANARY, status=5)
    assert "q-float32: max_size" in done.stderr and "q-int8: " not in done.stderr
    assert [line for line in done.stderr.splitlines() if " started" in line and "package" not in line] == []


def test_weights_to_start_from_are_loaded(built: Path, tmp_path: Path) -> None:
    run = runner(tmp_path)
    text = manifest("warm").replace("steps: 4", "steps: 4\n  init: {release: tiny@1.0.0, min_coverage: 0.9}")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "warm.yaml").write_text(text)
    releases = ("--releases", str(built / "releases"))
    run("lock", "manifests/warm.yaml", *releases)
    (item,) = json.loads(run("build", "manifests/warm.yaml", *CANARY, *releases).stdout)
    assert item["canary"]["covered"] == 1
    coverage = json.loads((tmp_path / "build/warm-1.0.0-canary/training/coverage.json").read_text())
    assert coverage["variables"]["restored"] == len(coverage["each"])


def test_a_wrong_label_ends_it_with_its_place(tmp_path: Path) -> None:
    run = runner(tmp_path)
    data = tmp_path / "data"
    for name in ("images", "labels"):
        (data / name).mkdir(parents=True)
    for number in range(120):
        Image.new("RGB", (112, 96), (number, 90, 90)).save(data / "images" / f"{number}.jpg")
        (data / "labels" / f"{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.25 0.25\n")
    (data / "labels" / "99.txt").write_text("0 0.5 0.5 0.2 0.2\n2 0.5 0.5 0.2 0.2\n")
    section = ("\n  format: yolo\n  source: {name: shapes, path: ../data}\n  images: images\n  annotations: labels\n"
               "  classes: [circle, square]\n  split: {eval: 0.3, seed: 5}")  # fmt: skip
    path = locked(run, tmp_path, "yolo", manifest("yolo", dataset=section))
    done = run("build", path, *CANARY, status=3)
    assert "labels/99.txt" in done.stderr and "line 2 has class 2" in done.stderr
    assert "train" not in done.stderr.replace("training", "")


_RECORDS = """
import io, sys
import tensorflow as tf
from PIL import Image
F, B, I = tf.train.Feature, tf.train.BytesList, tf.train.FloatList
with tf.io.TFRecordWriter(sys.argv[1] + "/some.tfrecord") as writer:
    for number in range(2000):
        out = io.BytesIO()
        Image.new("RGB", (40, 40), (number % 256, number // 256, 9)).save(out, "PNG")
        label = b"owll" if number == int(sys.argv[2]) else b"owl"
        feature = {"image/encoded": F(bytes_list=B(value=[out.getvalue()])),
                   "image/object/class/text": F(bytes_list=B(value=[label]))}
        for side, edge in zip(("xmin", "ymin", "xmax", "ymax"), (0.1, 0.1, 0.6, 0.6)):
            feature["image/object/bbox/" + side] = F(float_list=I(value=[edge]))
        writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
"""

_INGEST = """
import json, sys
import contract, ingest_sample
request = contract.Request("ingest_sample", json.load(open(sys.argv[1])), {"source": sys.argv[2]}, sys.argv[3], 2, "n")
try:
    ingest_sample.main(request)
    print("done")
except contract.Failure as failure:
    print(failure.message)
"""


def test_of_records_all_are_read_and_few_are_opened(tmp_path: Path) -> None:
    settings = {
        "format": "tfrecord",
        "records": ["*.tfrecord"],
        "classes": ["owl"],
        "split": {"eval": 0.2, "seed": 7},
        "max_rejected": 0.0,
    }
    params: dict[str, Any] = {"dataset": settings, "sample": {"train": 48, "eval": 24, "seed": 1}}
    (tmp_path / "params.json").write_text(json.dumps(params))
    out = tmp_path / "out"
    out.mkdir()
    words = ("-c", _INGEST, str(tmp_path / "params.json"), str(tmp_path), str(out))
    step_python("-W", "ignore", "-c", _RECORDS, str(tmp_path), "-1")
    assert step_python(*words).splitlines()[-1] == "done"
    report = json.loads((out / "report.json").read_text())
    assert report["sample"] == {"train": 48, "eval": 24, "not_opened": 1928, "total": 2000}
    assert (out / "train.tfrecord").stat().st_size > 48 * 100
    step_python("-W", "ignore", "-c", _RECORDS, str(tmp_path), "1998")
    assert "some.tfrecord, record 1998: unknown label 'owll'" in step_python(*words).splitlines()[-1]
