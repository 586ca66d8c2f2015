"""The same pictures and boxes in every format give the same records; and what each format alone has to say."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coco
import contract
import examples
import ingest
import jsonstream
import pytest
import tfrecords
import yolo
from dataset import Rejected
from voc_dataset import encoded, photograph, voc_xml

SIZE = (60, 40)
BOXES: dict[str, list[tuple[str, tuple[int, int, int, int]]]] = {
    f"p{number}": [("cat", (10 + number, 5, 30, 25)), ("dog", (0, 10, 15, 40 - number))][: 1 + number % 2]
    for number in range(8)
}
BOXES["p8"] = []


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    for number, stem in enumerate(BOXES):
        (source / "images" / f"{stem}.jpg").write_bytes(encoded(photograph(number)))
    monkeypatch.setattr(examples, "write", lambda *arguments: None)
    return source


def settings(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "format": kind,
        "images": "images",
        "classes": ["cat", "dog"],
        "split": {"eval": 0.4, "seed": 3},
        "max_rejected": 0.5,
        **more,
    }


def run(root: Path, asked: dict[str, Any], threads: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    """(report, eval truth) of an ingest."""
    output = root.parent / "output"
    output.mkdir(exist_ok=True)
    ingest.main(contract.Request("ingest", {"dataset": asked}, {"source": str(root)}, str(output), threads, "n"))
    return json.loads((output / "report.json").read_text()), json.loads((output / "eval.json").read_text())


def refused(root: Path, asked: dict[str, Any]) -> contract.Failure:
    with pytest.raises(contract.Failure) as caught:
        run(root, asked)
    assert caught.value.help
    failure: contract.Failure = caught.value
    return failure


def as_voc(root: Path) -> dict[str, Any]:
    (root / "annotations").mkdir()
    for stem, boxes in BOXES.items():
        (root / "annotations" / f"{stem}.xml").write_text(voc_xml(boxes, SIZE, f"{stem}.jpg"))
    return settings("voc", annotations="annotations")


def coco_document() -> dict[str, Any]:
    images, annotations = [], []
    for number, (stem, boxes) in enumerate(BOXES.items()):
        images.append({"id": 100 - number, "file_name": f"{stem}.jpg", "width": 60, "height": 40})
        for label, (left, top, right, bottom) in boxes:
            box = [left, top, right - left, bottom - top]
            category = {"cat": 7, "dog": 3}[label]
            annotations.append({"id": len(annotations), "image_id": 100 - number, "category_id": category,
                                "bbox": box, "iscrowd": 0, "segmentation": [[0.5] * 20]})  # fmt: skip
    categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    return {"info": {"year": 2026}, "annotations": annotations, "images": images, "categories": categories}


def write_coco(root: Path, document: dict[str, Any]) -> dict[str, Any]:
    (root / "boxes.json").write_text(json.dumps(document))
    return settings("coco", annotations="boxes.json")


def as_coco(root: Path) -> dict[str, Any]:
    return write_coco(root, coco_document())


def as_yolo(root: Path) -> dict[str, Any]:
    (root / "labels").mkdir()
    for stem, boxes in BOXES.items():
        lines = []
        for label, (left, top, right, bottom) in boxes:
            x, y, width, height = (left + right) / 120, (top + bottom) / 80, (right - left) / 60, (bottom - top) / 40
            lines.append(f"{('cat', 'dog').index(label)} {x:.17g} {y:.17g} {width:.17g} {height:.17g}\n")
        (root / "labels" / f"{stem}.txt").write_text("".join(lines))
    return settings("yolo", annotations="labels")


def as_csv(root: Path) -> dict[str, Any]:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])
    for stem, boxes in reversed(BOXES.items()):
        for label, edges in boxes:
            rows.writerow([f"{stem}.jpg", 60, 40, label, *edges])
        if not boxes:
            rows.writerow([f"{stem}.jpg", 60, 40, "", "", "", "", ""])
    (root / "boxes.csv").write_text(out.getvalue())
    return settings("csv", annotations="boxes.csv")


def as_open_images(root: Path) -> dict[str, Any]:
    lines = ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf"]
    for stem, boxes in BOXES.items():
        for label, (left, top, right, bottom) in boxes:
            code = {"cat": "/m/01yrx", "dog": "/m/0bt9lr"}[label]
            shares = ",".join(f"{share:.17g}" for share in (left / 60, right / 60, top / 40, bottom / 40))
            lines.append(f"{stem},xclick,{code},1,{shares},0,0,0")
    (root / "boxes.csv").write_text("\ufeff" + "\r\n".join(lines) + "\r\n")
    (root / "codes.csv").write_text("/m/01yrx,cat\n/m/0bt9lr,dog\n")
    return settings("csv", annotations="boxes.csv", names="codes.csv")


WRITERS: list[Callable[[Path], dict[str, Any]]] = [as_coco, as_yolo, as_csv]


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_same_boxes_and_the_same_split(root: Path, write: Callable[..., Any]) -> None:
    voc_report, expected = run(root, as_voc(root))
    assert len(expected["images"]) == 4 and len(expected["annotations"]) == 5
    report, truth = run(root, write(root))
    assert report["boxes"] == voc_report["boxes"] and report["accepted"] == 9
    assert truth["images"] == expected["images"]
    for one, other in zip(truth["annotations"], expected["annotations"], strict=True):
        assert one["bbox"] == pytest.approx(other["bbox"], abs=1e-9)
        assert (one["image_id"], one["category_id"]) == (other["image_id"], other["category_id"])


def test_open_images_has_no_pictures_without_boxes(root: Path) -> None:
    report, _ = run(root, as_open_images(root))
    assert report["accepted"] == 8 and report["unannotated"] == ["images/p8.jpg"]
    assert report["labels"]["boxes"] == 12


def test_threads_change_nothing(root: Path) -> None:
    asked = as_coco(root)
    assert run(root, asked, threads=1) == run(root, asked, threads=4)


def test_labels_are_renamed_merged_and_dropped_with_exact_counts(root: Path) -> None:
    asked = as_coco(root)
    report, truth = run(root, {**asked, "classes": ["pet"], "class_map": {"cat": "pet", "dog": "pet"}})
    assert report["labels"]["renamed"] == {"cat": 8, "dog": 4} and report["labels"]["kept"] == 12
    assert [category["name"] for category in truth["categories"]] == ["pet"]
    for rule in ({"drop_classes": ["dog"]}, {"other_classes": "drop"}):
        report, _ = run(root, {**asked, "classes": ["cat"], **rule})
        assert report["labels"]["dropped"] == {"dog": 4}
        assert report["labels"]["boxes"] == 12 == report["labels"]["kept"] + 4
    assert "unknown label 'dog'" in json.dumps(run(root, {**asked, "classes": ["cat"]})[0]["rejected"])


def test_crowds_are_ignored_by_default_in_coco(root: Path) -> None:
    document = coco_document()
    for annotation in document["annotations"]:
        annotation["iscrowd"] = int(annotation["category_id"] == 3)
    report, truth = run(root, {**write_coco(root, document), "classes": ["cat", "dog"], "difficult": "keep"})
    assert report["labels"]["ignored"] == 0
    failure = refused(root, {**write_coco(root, document), "difficult": "ignore"})
    assert failure.code == "dataset-class-without-box" and "dog" in failure.message
    report, truth = run(root, {**write_coco(root, document), "classes": ["cat"], "class_map": {"dog": "cat"},
                               "difficult": "ignore"})  # fmt: skip
    assert report["labels"]["ignored"] == 4 and report["labels"]["kept"] == 8
    assert sum(row["iscrowd"] for row in truth["annotations"]) == 1


# What is wrong with a picture, and what with the whole file


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["annotations"][0].update(bbox=[1, 2, float("1e400"), 4]), None),
        (lambda d: d["annotations"][0].update(bbox=[1, 2, -3, 4]), "has no area"),
        (lambda d: d["annotations"][0].update(bbox=[1, 2, 3]), "not four numbers"),
        (lambda d: d["annotations"][0].update(bbox=[1, 2, 10**30, 4]), "not four numbers"),
        (lambda d: d["annotations"][0].update(category_id=9), "category 9 is not listed"),
        (lambda d: d["annotations"][0].update(category_id=True), "category_id"),
        (lambda d: d["images"].append(dict(d["images"][0])), "stands twice"),
        (lambda d: d["images"][0].update(file_name="../../etc/x.jpg"), "leads out"),
        (lambda d: d["images"][0].update(file_name=["x"]), "no file_name"),
        (lambda d: d["images"][0].update(width=61), "annotation is for 61x40"),
    ],
)
def test_one_bad_picture_of_a_coco_file_is_one_rejected_picture(root: Path, change: Any, reason: str | None) -> None:
    document = coco_document()
    change(document)
    asked = write_coco(root, document)
    if reason is None:
        assert refused(root, asked).code == "dataset-coco"
        return
    report, _ = run(root, asked)
    total = len(document["images"])
    assert report["images"] == total == report["accepted"] + len(report["rejected"])
    assert 1 <= len(report["rejected"]) <= 2 and reason in report["rejected"][0]["reason"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"images": [', '{"images": [{}], "categories": []}', '{"images": []}', '{"a": NaN}', "{} {}",
     '{"images": 1, "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}', "\x00", '{"a": ' + "[" * 100_000],
)  # fmt: skip
def test_what_is_no_coco_file_is_one_failure(root: Path, text: str) -> None:
    (root / "boxes.json").write_text(text)
    assert refused(root, settings("coco", annotations="boxes.json")).code in ("dataset-coco", "dataset-empty")


def test_boxes_of_pictures_that_are_not_listed_are_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = coco_document()
    document["annotations"].append({"id": 99, "image_id": 5, "category_id": 7, "bbox": [1, 1, 5, 5]})
    run(root, write_coco(root, document))
    assert "1 boxes are of pictures that boxes.json does not list" in capsys.readouterr().out


def test_a_stream_is_read_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"a": [1, 22, "é", {"b": [1.5, None]}], "skipped": {"c": []}, "d": [], "e": [333]}
    data = json.dumps(document, ensure_ascii=False).encode()
    for piece in (1, 2, 3, 7, 1000):
        monkeypatch.setattr(jsonstream, "PIECE", piece)
        found = list(jsonstream.members(io.BytesIO(data)))
        assert found == [("a", 1), ("a", 22), ("a", "é"), ("a", {"b": [1.5, None]}), ("skipped", None), ("e", 333)]


def test_columns_keep_the_boxes_of_each_picture(root: Path) -> None:
    index = coco.Index(str(root / as_coco(root)["annotations"]), "boxes.json")
    # Sorted by id, which runs backwards here.
    assert [index.picture(row)[0] for row in range(len(index))] == [f"p{number}.jpg" for number in range(8, -1, -1)]
    assert index.picture(1) == (
        "p7.jpg",
        (60.0, 40.0),
        [("cat", (17, 5, 30, 25), False), ("dog", (0, 10, 15, 33), False)],
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.2", "3 numbers"),
        ("0 0.5 0.5 0.2 nan", "not finite"),
        ("9 0.5 0.5 0.2 0.2", "class 9"),
        ("-1 0.5 0.5 0.2 0.2", "class -1"),
        ("cat 0.5 0.5 0.2 0.2", "not a class and numbers"),
    ],
)
def test_bad_yolo_lines(line: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        yolo.parse(("0 0.5 0.5 0.2 0.2\n" + line).encode(), ["cat"])
    assert reason in str(caught.value) and "line 2" in str(caught.value)


def test_yolo_outlines_become_the_box_around_them() -> None:
    ((label, edges, marked),) = yolo.parse(b"\xef\xbb\xbf0 0.1 0.2 0.5 0.9 0.3 0.1\r\n", ["cat"])
    assert (label, edges, marked) == ("cat", (0.1, 0.1, 0.5, 0.9), False)


@pytest.mark.parametrize(
    ("text", "file", "names"),
    [
        ("cat\nbig dog\n\n", "classes.txt", ["cat", "big dog"]),
        ("nc: 2\nnames: ['cat', \"big dog\"]\n", "data.yaml", ["cat", "big dog"]),
        ("names:\n  - cat\n  - big dog  # large\n", "data.yaml", ["cat", "big dog"]),
        ("path: x\nnames:\n  1: dog\n  0: cat\ntrain: y\n", "data.yml", ["cat", "dog"]),
    ],
)
def test_yolo_names(text: str, file: str, names: list[str]) -> None:
    assert yolo.parse_names(text, file) == names


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("p0.jpg,60,40,cat,1,2,x,4", "xmax is 'x'"),
        ("p0.jpg,60,40,cat,1,2,inf,4", "xmax is 'inf'"),
        ("p0.jpg,60,40,cat,1,2,3", "another number of fields"),
        ("p0.jpg,61,40,cat,1,2,30,30", "different sizes"),
        ("nothing.jpg,60,40,cat,1,2,30,30", "no picture nothing.jpg"),
        ("../p0.jpg,60,40,cat,1,2,30,30", "leads out"),
    ],
)
def test_a_bad_csv_row_rejects_its_picture(root: Path, line: str, reason: str) -> None:
    asked = as_csv(root)
    with (root / "boxes.csv").open("a") as stream:
        stream.write(line + "\n")
    report, _ = run(root, asked)
    assert len(report["rejected"]) == 1 and reason in report["rejected"][0]["reason"]
    assert report["images"] == report["accepted"] + 1


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "filename,class,xmin,ymin,xmax,ymax\n\x00", "\udcff"])
def test_a_csv_of_another_kind(root: Path, text: str) -> None:
    (root / "boxes.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert refused(root, settings("csv", annotations="boxes.csv")).code in ("dataset-csv", "dataset-rejected")


# Splits


def test_split_by_lists(root: Path) -> None:
    (root / "train.txt").write_text("# first\np0\nimages/p1.jpg\np2.jpg 1\n./p3\n\n")
    (root / "val.txt").write_text("p4 -1\r\np5\r\n")
    asked = {**as_coco(root), "split": {"train_list": "train.txt", "eval_list": "val.txt"}}
    report, truth = run(root, asked)
    assert [image["file_name"] for image in truth["images"]] == ["p4.jpg", "p5.jpg"]
    assert report["in_neither_list"] == 3
    (root / "val.txt").write_text("p4\np0\n")
    failure = refused(root, asked)
    assert failure.code == "dataset-overlap" and "p0" in failure.message
    (root / "val.txt").write_text("p4\nowl\n")
    assert "owl" in refused(root, asked).message
    assert refused(root, {**asked, "split": {"train_list": "none.txt", "eval_list": "val.txt"}}).code == "dataset-file"


def test_split_by_folders(root: Path) -> None:
    as_yolo(root)
    for half, stems in (("train", range(6)), ("valid", range(6, 9))):
        for kind, ending in (("images", "jpg"), ("labels", "txt")):
            (root / half / kind).mkdir(parents=True)
            for number in stems:
                (root / kind / f"p{number}.{ending}").rename(root / half / kind / f"p{number}.{ending}")
    asked = settings("yolo", images="<split>/images", annotations="<split>/labels",
                     split={"train": "train", "eval": "valid"})  # fmt: skip
    report, truth = run(root, asked)
    assert [image["file_name"] for image in truth["images"]] == [f"valid/p{number}.jpg" for number in (6, 7, 8)]
    assert report["boxes"]["train"] == {"cat": 6, "dog": 3}
    copy = (root / "valid" / "images" / "p6.jpg").read_bytes()
    (root / "train" / "images" / "p0.jpg").write_bytes(copy)
    assert refused(root, asked).code == "dataset-overlap"


def test_a_picture_over_the_limit_is_not_decoded(root: Path) -> None:
    report, _ = run(root, {**as_coco(root), "max_pixels": 2400})
    assert report["accepted"] == 9
    assert refused(root, {**as_coco(root), "max_pixels": 2399}).code == "dataset-rejected"


def test_globs_of_record_files(tmp_path: Path) -> None:
    for name in ("a.tfrecord", "sub/b.tfrecord", "sub/deep/c-00000-of-00002", "x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for patterns, names in (
        (["*.tfrecord"], ["a.tfrecord"]),
        (["**/*.tfrecord"], ["a.tfrecord", "sub/b.tfrecord"]),
        (["sub/**/c-?????-of-*"], ["sub/deep/c-00000-of-00002"]),
        (["[ax].*"], ["a.tfrecord", "x.txt"]),
        (["*"], ["a.tfrecord", "x.txt"]),
    ):
        assert tfrecords.matching(str(tmp_path), patterns) == names


assert "tensorflow" not in sys.modules
