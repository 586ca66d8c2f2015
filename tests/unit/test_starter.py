"""What ``tinsmith init`` makes of a folder of data: a manifest that is valid and names what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from builder.errors import DatasetError
from builder.manifest.dataset import CocoDataset, CsvDataset, TfRecordDataset, VocDataset, YoloDataset
from builder.manifest.load import loads
from builder.manifest.split import ByFolder, ByList
from builder.starter import starter_text, survey

VOC = "<annotation><object><name>{}</name><bndbox/></object></annotation>"


def picture(path: Path, size: tuple[int, int] = (64, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def manifest_of(folder: Path):  # type: ignore[no-untyped-def]
    return loads(starter_text("owls", survey(folder), "../data/owls"), "owls.yaml").only.dataset


def test_voc(tmp_path: Path) -> None:
    for index, label in enumerate(["owl", "snowy owl", "owl"]):
        picture(tmp_path / "JPEGImages" / f"{index}.jpg")
        write(tmp_path / "Annotations" / f"{index}.xml", VOC.format(label))
    found = survey(tmp_path)
    assert (found.pictures, found.median_size) == (3, (64, 48))
    dataset = manifest_of(tmp_path)
    assert isinstance(dataset, VocDataset)
    assert (dataset.images, dataset.annotations) == ("JPEGImages", "Annotations")
    assert dataset.classes == ("owl", "snowy owl")
    for half in ("train", "val"):
        write(tmp_path / "ImageSets" / "Main" / f"{half}.txt", "0\n")
    assert isinstance(manifest_of(tmp_path).split, ByList)


def test_coco_with_its_own_halves(tmp_path: Path) -> None:
    document = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "owl"}, {"id": 2, "name": "0.5"}]}
    for half in ("train2017", "val2017"):
        picture(tmp_path / half / "1.jpg")
        write(tmp_path / "annotations" / f"instances_{half}.json", json.dumps(document))
    dataset = manifest_of(tmp_path)
    assert isinstance(dataset, CocoDataset) and isinstance(dataset.split, ByFolder)
    assert dataset.images == "<split>" and dataset.annotations == "annotations/instances_<split>.json"
    assert (dataset.split.train, dataset.split.eval) == ("train2017", "val2017")
    assert dataset.classes == ("owl", "0.5")


def test_yolo_with_names(tmp_path: Path) -> None:
    for half in ("train", "valid"):
        picture(tmp_path / half / "images" / f"{half}.jpg")
        write(tmp_path / half / "labels" / f"{half}.txt", "1 0.5 0.5 0.2 0.2\n")
    write(tmp_path / "data.yaml", "nc: 2\nnames:\n  0: owl\n  1: 'snowy owl'\n")
    dataset = manifest_of(tmp_path)
    assert isinstance(dataset, YoloDataset) and isinstance(dataset.split, ByFolder)
    assert (dataset.images, dataset.annotations, dataset.names) == ("<split>/images", "<split>/labels", "data.yaml")
    assert dataset.classes == ("owl", "snowy owl")


def test_csv_and_records(tmp_path: Path) -> None:
    picture(tmp_path / "csv" / "photos" / "a.png")
    write(tmp_path / "csv" / "boxes.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,64,48,owl,1,1,9,9\n")
    dataset = manifest_of(tmp_path / "csv")
    assert isinstance(dataset, CsvDataset)
    assert (dataset.images, dataset.annotations, dataset.classes) == ("photos", "boxes.csv", ("owl",))
    write(tmp_path / "rec" / "owls_train.record", "x")
    write(tmp_path / "rec" / "owls_val.record", "x")
    write(tmp_path / "rec" / "map.pbtxt", "item {\n  id: 1\n  name: 'owl'\n}\n")
    dataset = manifest_of(tmp_path / "rec")
    assert isinstance(dataset, TfRecordDataset)
    assert dataset.records == ("owls_<split>.record",) and dataset.classes == ("owl",)


def test_a_folder_without_annotations(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DatasetError) as caught:
            survey(folder)
        assert caught.value.help


def test_hostile_labels_and_paths_are_quoted_or_left_out(tmp_path: Path) -> None:
    for index, label in enumerate(["no", "a: b", "x" * 65, "tab\there", "1.5"]):
        picture(tmp_path / "im #1" / f"{index}.jpg")
        write(tmp_path / "yes" / f"{index}.xml", VOC.format(label))
    dataset = manifest_of(tmp_path)
    assert dataset.classes == ("1.5", "a: b", "no")
    assert (dataset.images, dataset.annotations) == ("im #1", "yes")
