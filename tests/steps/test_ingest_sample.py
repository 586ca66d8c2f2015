"""The sample of a canary: all annotations judged, few pictures opened, and what is said of both."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contract
import examples
import ingest
import ingest_sample
import pictures
import pytest
import sampling
import tfrecords
from dataset import Entry
from voc_dataset import encoded, photograph, voc_xml

COUNT = 60
SAMPLE = {"train": 12, "eval": 6, "seed": 1}
SIZE = (60, 40)
PHOTOGRAPHS = [encoded(photograph(number)) for number in range(COUNT)]

Boxes = dict[str, list[tuple[str, tuple[int, int, int, int]]]]


def boxes() -> Boxes:
    """Cats everywhere, a dog in every fourth picture, two owls in all."""
    found: Boxes = {}
    for number in range(COUNT):
        found[f"p{number:02d}"] = [("cat", (10 + number % 9, 5, 30, 25))]
        if number % 4 == 0:
            found[f"p{number:02d}"].append(("dog", (0, 10, 15, 38)))
        if number in (17, 42):
            found[f"p{number:02d}"].append(("owl", (40, 10, 55, 30)))
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    for number, data in enumerate(PHOTOGRAPHS):
        (source / "images" / f"p{number:02d}.jpg").write_bytes(data)
    monkeypatch.setattr(examples, "write", lambda *arguments: None)
    return source


def settings(kind: str, **more: Any) -> dict[str, Any]:
    asked = {"format": kind, "images": "images", "classes": ["cat", "dog", "owl"], "split": {"eval": 0.4, "seed": 3}}
    return {**asked, "max_rejected": 0.0, **more}


def run(
    root: Path, asked: dict[str, Any], sample: dict[str, int] = SAMPLE, threads: int = 1, at: str = "output"
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(report, split, eval truth) of an ingest for a canary."""
    output = root.parent / at
    output.mkdir(exist_ok=True)
    params = {"dataset": asked, "sample": sample}
    ingest_sample.main(contract.Request("ingest_sample", params, {"source": str(root)}, str(output), threads, "n"))
    report, split, truth = (json.loads((output / f"{name}.json").read_text()) for name in ("report", "split", "eval"))
    return report, split, truth


def refused(root: Path, asked: dict[str, Any], **options: Any) -> contract.Failure:
    with pytest.raises(contract.Failure) as caught:
        run(root, asked, **options)
    assert caught.value.help
    failure: contract.Failure = caught.value
    return failure


def as_voc(root: Path, found: Boxes) -> dict[str, Any]:
    (root / "annotations").mkdir()
    for stem, objects in found.items():
        (root / "annotations" / f"{stem}.xml").write_text(voc_xml(objects, SIZE, f"{stem}.jpg"))
    return settings("voc", annotations="annotations")


def as_coco(root: Path, found: Boxes, file: str = "boxes.json") -> dict[str, Any]:
    names = sorted({label for objects in found.values() for label, _ in objects})
    images, annotations = [], []
    for number, (stem, objects) in enumerate(found.items(), 1):
        images.append({"id": number, "file_name": f"{stem}.jpg", "width": SIZE[0], "height": SIZE[1]})
        for label, (left, top, right, bottom) in objects:
            box = [left, top, right - left, bottom - top]
            annotations.append({"id": len(annotations), "image_id": number, "bbox": box,
                                "category_id": names.index(label)})  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / file).write_text(json.dumps(document))
    return settings("coco", annotations="boxes.json")


def as_yolo(root: Path, found: Boxes) -> dict[str, Any]:
    names = ["cat", "dog", "owl", "racoon"]
    (root / "labels").mkdir()
    (root / "names.txt").write_text("\n".join(names))
    for stem, objects in found.items():
        lines = []
        for label, (left, top, right, bottom) in objects:
            x, y, width, height = (left + right) / 120, (top + bottom) / 80, (right - left) / 60, (bottom - top) / 40
            lines.append(f"{names.index(label)} {x:.17g} {y:.17g} {width:.17g} {height:.17g}\n")
        (root / "labels" / f"{stem}.txt").write_text("".join(lines))
    return settings("yolo", annotations="labels", names="names.txt")


def as_csv(root: Path, found: Boxes) -> dict[str, Any]:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])
    for stem, objects in found.items():
        for label, edges in objects:
            rows.writerow([f"{stem}.jpg", *SIZE, label, *edges])
    (root / "boxes.csv").write_text(out.getvalue())
    return settings("csv", annotations="boxes.csv")


def as_records(root: Path, found: Boxes, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Entries as the reader of records makes them; TensorFlow is not installed beside the control plane."""

    def entries(source: str, file: str, classes: Any) -> Any:
        for number, (stem, objects) in enumerate(found.items()):
            place = f"{file}, record {number}"
            shares = [(label, (a / 60, b / 40, c / 60, d / 40), False) for label, (a, b, c, d) in objects]
            data = PHOTOGRAPHS[number]
            yield lambda stem=stem, place=place, shares=shares, data=data: Entry(
                place, place, f"x/{stem}.jpg", lambda: data, None, shares, True
            )

    (root / "x.tfrecord").write_bytes(b"")
    monkeypatch.setattr(tfrecords, "_entries", entries)
    monkeypatch.setattr(tfrecords, "_count", lambda source, file: len(found))
    return settings("tfrecord", records=["*.tfrecord"])


Writer = Callable[[Path, Boxes], dict[str, Any]]


@pytest.fixture(params=["voc", "coco", "yolo", "csv", "tfrecord"])
def write(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Writer:
    if request.param == "tfrecord":
        return lambda root, found: as_records(root, found, monkeypatch)
    writers: dict[str, Writer] = {"voc": as_voc, "coco": as_coco, "yolo": as_yolo, "csv": as_csv}
    return writers[request.param]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that were decoded."""
    names: list[str] = []
    load = pictures.load

    def counted(data: bytes, name: str, *limits: int) -> Any:
        names.append(name)
        return load(data, name, *limits)

    monkeypatch.setattr(pictures, "load", counted)
    return names


def test_few_pictures_are_opened_and_every_class_is_among_them(root: Path, write: Writer, opened: list[str]) -> None:
    report, split, truth = run(root, write(root, boxes()))
    assert len(opened) == 18 and len(set(opened)) == 18
    assert report["sample"] == {"train": 12, "eval": 6, "not_opened": 42, "total": 60}
    assert (report["images"], report["accepted"], report["rejected"]) == (60, 18, [])
    assert [len(split[half]["images"]) for half in ("train", "eval")] == [12, 6]
    assert all(report["boxes"][half][label] for half in ("train", "eval") for label in ("cat", "dog", "owl"))
    assert len(truth["images"]) == 6
    # Of what every annotation says, not of the sample.
    assert report["labels"]["boxes"] == 60 + 15 + 2


def test_the_last_of_the_annotations_is_judged_too(root: Path, write: Writer, opened: list[str]) -> None:
    found = boxes()
    found["p59"] = [("racoon", (1, 1, 20, 20))]
    failure = refused(root, write(root, found))
    assert failure.code == "dataset-rejected"
    assert "unknown label 'racoon'" in failure.message and "1 of 60 pictures" in failure.message
    (rejected,) = json.loads((root.parent / "output" / "report.json").read_text())["rejected"]
    place = {"voc": "annotations/p59.xml", "coco": "boxes.json, image 60", "yolo": "labels/p59.txt",
             "csv": "boxes.csv:78", "tfrecord": "x.tfrecord, record 59"}  # fmt: skip
    assert rejected["file"] in place.values() and rejected["file"] in failure.message


def test_the_same_sample_whatever_the_number_of_processes(root: Path, write: Writer) -> None:
    asked = write(root, boxes())
    one, other = run(root, asked), run(root, asked, threads=2, at="again")
    assert one == other
    another = run(root, asked, sample={**SAMPLE, "seed": 2}, at="another")
    assert another[1] != one[1] and another[0]["sample"] == one[0]["sample"]


def test_a_dataset_no_larger_than_the_sample_is_taken_whole_as_a_build_does(root: Path, write: Writer) -> None:
    asked = write(root, boxes())
    report, split, truth = run(root, asked, sample={"train": 48, "eval": 12, "seed": 1})
    output = root.parent / "plain"
    output.mkdir()
    ingest.main(contract.Request("ingest", {"dataset": asked}, {"source": str(root)}, str(output), 1, "n"))
    plain = {name: json.loads((output / f"{name}.json").read_text()) for name in ("report", "split", "eval")}
    assert report.pop("sample") == {"train": 36, "eval": 24, "not_opened": 0, "total": 60}
    assert {"report": report, "split": split, "eval": truth} == plain


def test_a_wrong_label_in_a_hundred_thousand_boxes_is_found(root: Path, opened: list[str]) -> None:
    found = {stem: objects * 1700 for stem, objects in boxes().items()}
    count = sum(map(len, found.values()))
    assert count > 100_000
    found["p59"][-1] = ("caat", found["p59"][-1][1])
    for write in (as_coco, as_csv):
        assert "unknown label 'caat'" in refused(root, write(root, found)).message
    # Those that are opened are told before anything is refused, so that all is told at once.
    assert len(opened) == 2 * 18


# What annotations give away


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([("cat", (30, 5, 10, 25))], "has no area"),
        ([("cat", (70, 5, 90, 25))], "lies outside the picture"),
        ([("cat", (50, 5, 90, 25))], "lies mostly outside the picture"),
    ],
)
def test_impossible_boxes_are_found_unopened(root: Path, write: Writer, objects: Any, says: str) -> None:
    found = boxes()
    found["p33"] = objects
    assert says in refused(root, write(root, found)).message


def test_boxes_without_a_size_are_judged_as_far_as_can_be(root: Path) -> None:
    asked = as_csv(root, boxes())
    text = (root / "boxes.csv").read_text().replace(",60,40,", ",,,")
    (root / "boxes.csv").write_text(text.replace("p33.jpg,,,cat,16,5,30,25", "p33.jpg,,,cat,-30,5,-10,25"))
    assert "lies outside the picture" in refused(root, asked).message


@pytest.mark.parametrize("kind", ["voc", "coco", "yolo", "csv"])
def test_a_missing_picture_is_found_unopened(root: Path, kind: str) -> None:
    asked = {"voc": as_voc, "coco": as_coco, "yolo": as_yolo, "csv": as_csv}[kind](root, boxes())
    (root / "images" / "p33.jpg").unlink()
    failure = refused(root, asked)
    assert failure.code == "dataset-rejected" and "no picture" in failure.message and "p33" in failure.message


def test_a_picture_annotated_twice_is_found(root: Path) -> None:
    asked = as_voc(root, boxes())
    (root / "annotations" / "q.xml").write_text(voc_xml(filename="p33.jpg"))
    assert "already annotated by p33.xml" in refused(root, asked).message


def test_a_class_that_no_picture_or_a_single_one_has(root: Path) -> None:
    found = boxes()
    del found["p17"][-1]
    asked = as_voc(root, found)
    assert "only one picture has owl" in refused(root, asked).message
    asked["classes"] = [*asked["classes"], "newt"]
    assert "no box of newt" in refused(root, asked).message


def test_the_share_that_may_be_rejected_is_that_of_all(root: Path) -> None:
    found = boxes()
    found["p33"] = [("racoon", (1, 1, 20, 20))]
    asked = {**as_voc(root, found), "max_rejected": 0.02}
    report, *_ = run(root, asked)
    assert len(report["rejected"]) == 1
    assert report["sample"]["not_opened"] == 60 - 1 - 18
    assert refused(root, {**asked, "max_rejected": 0.016}).code == "dataset-rejected"


# What only opened pictures show


def sampled(root: Path, asked: dict[str, Any]) -> list[str]:
    _, split, _ = run(root, asked, at="before")
    return [image["id"] for half in split.values() for image in half["images"]]


def test_a_broken_picture_counts_where_it_is_opened(root: Path) -> None:
    asked = as_voc(root, boxes())
    taken = sampled(root, asked)
    (unopened, *_) = sorted(set(boxes()) - set(taken))
    (root / "images" / f"{unopened}.jpg").write_bytes(b"no picture")
    run(root, asked)
    (root / "images" / f"{taken[0]}.jpg").write_bytes(b"no picture")
    failure = refused(root, asked)
    assert failure.code == "dataset-rejected" and f"images/{taken[0]}.jpg" in failure.message


def test_more_broken_pictures_than_allowed_can_be_told_by_the_sample(root: Path) -> None:
    asked = {**as_voc(root, boxes()), "max_rejected": 0.2}
    taken = sampled(root, asked)
    for stem in taken[:4]:
        (root / "images" / f"{stem}.jpg").write_bytes(b"no picture")
    report, *_ = run(root, asked)  # 4 of 18 are 0.22: as may well be where 0.2 are broken
    assert len(report["rejected"]) == 4 and report["accepted"] == 14
    for stem in taken[:10]:
        (root / "images" / f"{stem}.jpg").write_bytes(b"no picture")
    failure = refused(root, asked)
    assert "10 of the 18 pictures that were opened" in failure.message and "neither JPEG nor PNG" in failure.message


def test_copies_are_in_one_half_of_a_drawn_sample(root: Path) -> None:
    asked = as_voc(root, boxes())
    for number in range(COUNT):
        (root / "images" / f"p{number:02d}.jpg").write_bytes(PHOTOGRAPHS[number % 20])
    report, split, _ = run(root, asked)
    shas = [{image["sha256"] for image in split[half]["images"]} for half in ("train", "eval")]
    assert report["copies"] and not shas[0] & shas[1] and all(shas)


# Splits


def test_list_files_are_obeyed_and_judged_whole(root: Path) -> None:
    asked = as_voc(root, boxes())
    stems = list(boxes())
    (root / "train.txt").write_text("\n".join(stems[:40]))
    (root / "eval.txt").write_text("\n".join(stems[40:58]))
    asked["split"] = {"train_list": "train.txt", "eval_list": "eval.txt"}
    report, split, _ = run(root, asked)
    ids = [{image["id"] for image in split[half]["images"]} for half in ("train", "eval")]
    assert ids[0] <= set(stems[:40]) and ids[1] <= set(stems[40:58]) and list(map(len, ids)) == [12, 6]
    assert report["in_neither_list"] == 2
    # The only owl of these is in the first list.
    (root / "eval.txt").write_text("\n".join([*stems[43:58], stems[40]]))
    assert "eval has no box of owl" in refused(root, asked).message
    (root / "eval.txt").write_text("\n".join([*stems[40:58], "stranger"]))
    failure = refused(root, asked)
    assert failure.code == "dataset-list" and "stranger" in failure.message


def test_folders_are_sampled_each_for_itself(root: Path) -> None:
    found = boxes()
    stems = list(found)
    as_coco(root, {stem: found[stem] for stem in stems[:40]}, "train.json")
    as_coco(root, {stem: found[stem] for stem in stems[40:58]}, "val.json")
    asked = settings("coco", annotations="<split>.json", split={"train": "train", "eval": "val"})
    report, split, _ = run(root, asked)
    assert [len(split[half]["images"]) for half in ("train", "eval")] == [12, 6]
    assert all(image["id"].startswith("val/") for image in split["eval"]["images"])
    # One folder of pictures for both: what is left out of a half is used by the other, opened or not.
    assert report["unannotated"] == ["images/p58.jpg", "images/p59.jpg"]
    assert report["sample"] == {"train": 12, "eval": 6, "not_opened": 40, "total": 58}
    as_coco(root, {stem: found[stem] for stem in stems[43:58]}, "val.json")
    assert "no box of owl" in refused(root, asked).message


def test_a_share_that_holds_nothing_out_is_told(root: Path) -> None:
    asked = {**as_voc(root, boxes()), "split": {"eval": 0.005, "seed": 1}}
    assert "no picture is left for eval" in refused(root, asked).message


# Drawings, and what is underneath


def test_of_drawings_only_the_first_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "write", lambda *arguments: None)
    asked = {
        "format": "synthetic",
        "synthetic": {"images": 100_000, "size": [32, 32], "objects": [1, 1], "seed": 3},
        "classes": ["circle", "square", "triangle"],
        "split": {"eval": 0.1, "seed": 5},
    }
    report, *_ = run(tmp_path / "none", asked)
    assert report["sample"] == {"train": 12, "eval": 6, "not_opened": 99_982, "total": 100_000}
    few = {**asked, "synthetic": {**asked["synthetic"], "images": 18}, "split": {"eval": 0.5, "seed": 5}}
    report, *_ = run(tmp_path / "none", few)
    assert report["sample"] == {"train": 9, "eval": 9, "not_opened": 0, "total": 18}


def rows(*labels: str) -> list[Any]:
    return [
        sampling.Row(f"p{n}", f"p{n}.jpg", dict.fromkeys(text.split(), 1), Entry(*[f"p{n}.jpg"] * 3, *[None] * 4))
        for n, text in enumerate(labels)
    ]


def test_rare_classes_come_first_and_empty_pictures_last() -> None:
    found = rows(*["cat"] * 50, "dog", "", *["cat"] * 50, "owl cat")
    assert {label for row in sampling.choose(found, 2, 1) for label in row.labels} == {"cat", "dog", "owl"}
    assert not [row for row in sampling.choose(found, 102, 1) if not row.labels]
    assert len(sampling.choose(found, 103, 1)) == 103
    assert sampling.choose(found, 5, 1) == sorted(sampling.choose(found[::-1], 5, 1), key=found.index)


def test_the_readers_are_as_they_were_afterwards(root: Path) -> None:
    asked = as_voc(root, boxes())
    (root / "images" / "p00.jpg").unlink()
    refused(root, asked)
    assert sys.modules["collect"].collect is sampling._collect_all
