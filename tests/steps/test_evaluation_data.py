"""evaluation.json: on boxes made by hand, and as verify writes it for a model whose answers are known."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import contract
import evaluation_data
import numpy as np
import package
import pytest
import tiny_tflite as tiny
from PIL import Image
from test_evaluation_steps import CELLS, CLASSES, folders, infer_folder, read, run_package, run_verify
from test_metrics import BOX, Answer, answer, truth_of

__all__ = ["folders"]
PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
FAR = [60.0, 150.0, 30.0, 40.0]
METRICS = {"model_digest": "sha256:0", "operating_point": {"score": 0.5}}


def document(truth: dict[str, Any], released: list[Answer], frozen: list[Answer] | None = None) -> dict[str, Any]:
    stages = {"frozen": frozen or released, "tflite_litert": released}
    return evaluation_data.document(truth, ["a", "b"], stages, METRICS)


def test_a_picture_shows_what_is_annotated_and_what_both_found() -> None:
    truth = truth_of([[(1, BOX)]])
    found = document(truth, [answer((0, 0.49, FAR), (1, 0.8126, BOX))], [answer((1, 0.5, BOX), (0, 0.9, FAR))])
    box, far = [0.1, 0.1, 0.5, 0.5], [0.75, 0.6, 0.95, 0.9]
    assert found["pictures"] == {
        "1": {
            "file_name": "1.jpg",
            "width": 100,
            "height": 200,
            "picture": "golden/1.png",
            "annotated": [{"box": box, "class": 1}],
            "frozen": [{"box": far, "score": 0.9, "class": 0}, {"box": box, "score": 0.5, "class": 1}],
            "tflite_litert": [{"box": box, "score": 0.813, "class": 1}],
        }
    }
    assert found["confusion"] == {"classes": ["a", "b"], "counts": [[0, 0, 0], [0, 1, 0], [0, 0, 0]]}
    assert (found["shown"], found["worst"], found["score"], found["iou"]) == ([1], [], 0.5, 0.5)


def test_a_thousand_pictures_leave_only_the_first_and_the_worst() -> None:
    right, wrong = answer((0, 0.9, BOX)), answer((0, 0.9, BOX), (1, 0.8, FAR), (1, 0.7, [0.0, 150.0, 30.0, 40.0]))
    missed = answer()
    answers = [wrong if number in (5, 900) else missed if number % 100 == 50 else right for number in range(1, 1001)]
    found = document(truth_of([[(0, BOX)]] * 1000), answers)
    assert [row["id"] for row in found["worst"]] == [5, 900, 50, 150, 250, 350, 450, 550]
    assert found["shown"] == list(range(1, 9))
    assert set(found["pictures"]) == {str(number) for number in (*range(1, 9), 50, 150, 250, 350, 450, 550, 900)}
    assert found["pictures"]["5"]["picture"] == "golden/5.png"
    assert found["pictures"]["900"]["picture"] == "evaluation/900.png"
    assert found["confusion"]["counts"] == [[990, 0, 10], [0, 0, 0], [0, 4, 0]]
    assert len(json.dumps(found)) < 20_000


def test_a_picture_full_of_detections_lists_the_best_twenty_and_counts_all() -> None:
    rows = [(0, 0.5 + number / 100, [number, number, 3.0, 3.0]) for number in range(30)]
    found = document(truth_of([[(0, BOX)]]), [answer(*rows)])
    listed = found["pictures"]["1"]["tflite_litert"]
    assert [row["score"] for row in listed] == [round(0.79 - number / 100, 3) for number in range(20)]
    assert found["confusion"]["counts"] == [[0, 0, 1], [0, 0, 0], [30, 0, 0]]


def test_what_is_ignored_is_not_shown_as_annotated_and_counts_neither_way() -> None:
    truth = truth_of([[(0, BOX), (0, FAR)]])
    truth["annotations"][1]["iscrowd"] = 1
    found = document(truth, [answer((0, 0.9, BOX), (1, 0.8, FAR))])
    assert found["pictures"]["1"]["annotated"] == [{"box": [0.1, 0.1, 0.5, 0.5], "class": 0}]
    assert found["confusion"]["counts"] == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert found["precision_recall"]["a"]["boxes"] == 1
    assert found["worst"] == []


def test_boxes_are_cut_to_the_picture_and_strange_classes_left_out() -> None:
    boxes = np.array([[-0.5, -0.5, 0.5, 1.5], [0, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    strange = boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([1, 2, -1], np.int32)
    found = document(truth_of([[(1, BOX)]]), [strange])
    assert found["pictures"]["1"]["tflite_litert"] == [{"box": [0.0, 0.0, 0.5, 1.0], "score": 0.9, "class": 1}]


def test_a_score_as_it_was_read_off_includes_its_detection() -> None:
    # 0.1 as float32 is a little more than 0.1; 0.7 a little less.
    for score in (0.1, 0.7):
        kept = evaluation_data.from_score(answer((0, score, BOX)), float(np.float32(score)), 1)
        assert len(kept[1]) == 1
    assert not len(evaluation_data.from_score(answer((0, 0.7, BOX)), 0.7, 1)[1])


@pytest.fixture
def twelve(tmp_path: Path, folders: dict[str, Path]) -> dict[str, Path]:
    """Twelve pictures, of which the eleventh is annotated with another class than the one that is lit."""
    cells = [*CELLS, *((row, (3 * row + 1) % 8, 1 + row % 2) for row in range(4))]
    folders["inferred"] = tmp_path / "twelve"
    infer_folder(folders["inferred"], cells)
    truth = read(folders["inferred"] / "eval.json")
    row = truth["annotations"][10]
    row["category_id"] = 3 - row["category_id"]
    contract.write_json(folders["inferred"] / "eval.json", truth)
    return folders


def test_verify_leaves_the_worst_picture_as_the_model_sees_it(tmp_path: Path, twelve: dict[str, Path]) -> None:
    left = run_verify(tmp_path / "out", twelve)
    found, metrics = read(left / "evaluation.json"), read(left / "metrics.json")
    assert found["model_digest"] == metrics["model_digest"]
    assert found["worst"] == [{"id": 11, "missed": 0, "wrong": 1, "extra": 0}]
    assert list((left / "evaluation").iterdir()) == [left / "evaluation" / "11.png"]
    with Image.open(left / "evaluation" / "11.png") as image:
        assert (np.asarray(image) == tiny.picture(2, 7, 1)).all()
    shown = found["pictures"]["11"]
    assert shown["annotated"] == [{"box": [0.25, 0.875, 0.375, 1.0], "class": 1}]
    assert shown["tflite_litert"] == shown["frozen"] == [{"box": [0.25, 0.875, 0.375, 1.0], "score": 1.0, "class": 0}]
    stage = metrics["stages"]["tflite_litert"]["per_class"]
    assert [sum(row) for row in found["confusion"]["counts"]] == [*(stage[name]["boxes"] for name in CLASSES), 0]
    for name, curve in found["precision_recall"].items():
        assert np.mean(curve["precision"]) == pytest.approx(stage[name]["ap50"], abs=1e-6)
    packaged = run_package(tmp_path / "packaged", twelve, left)
    assert (packaged / "evaluation/11.png").read_bytes() == (left / "evaluation/11.png").read_bytes()
    assert "evaluation/11.png" in read(packaged / "metadata.json")["files"]


def test_the_page_about_these_files_names_all_that_is_in_them(tmp_path: Path, twelve: dict[str, Path]) -> None:
    packaged = run_package(tmp_path / "packaged", twelve, run_verify(tmp_path / "out", twelve))
    told = [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    ]
    for name, example in zip(("evaluation.json", "training.json"), told, strict=True):
        assert keys(read(packaged / name)) <= keys(example)
    assert keys(told[0]) <= keys(read(packaged / "evaluation.json"))


def keys(value: Any) -> set[str]:
    """Every key of a document, with those of what it holds; not names of classes and ids of pictures."""
    if isinstance(value, dict):
        named = {name for name in value if name not in CLASSES and name != "circle" and not name.isdigit()}
        return named.union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_figures_and_counts_are_of_one_model(tmp_path: Path, twelve: dict[str, Path]) -> None:
    left = run_verify(tmp_path / "out", twelve)
    assert set(package.OF_THE_MODEL) == {
        path.relative_to(left).as_posix() for path in left.rglob("*.json") if "model_digest" in read(path)
    }
