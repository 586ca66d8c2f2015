"""Mutated pictures and annotations: ``python -m tests.fuzz.inputs [N]``, 2,000 by default.

Tiny datasets in VOC, COCO, YOLO and CSV form with files flipped, cut, doubled or swapped are ingested by the real step.
Each must end well or in the step's own Failure, with counts that add up, within LONGEST seconds; anything else is
printed with the seed that did it, and the exit status is 1.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docker" / "steps"))

import contract
import examples
import ingest

LONGEST = 1.0
SIZE = (48, 32)
_WORDS = [b"\x00", b"\xff\xd9", b"\xff\xd8", b"null", b"<!DOCTYPE x>", b"&a;", b"nan", b"1e999", b"-1", b"9" * 400,
          b"[" * 5000, b'"',
          b"\n", b",", b"\xef\xbb\xbf", b"../../x", b"<object>", b"}", b"\x89PNG", b"\\ud800"]  # fmt: skip


def pictures(root: Path) -> None:
    (root / "images").mkdir()
    kinds = ["RGB JPEG", "L JPEG", "CMYK JPEG", "RGB PNG", "RGBA PNG", "P PNG", "RGB JPEG", "RGB JPEG"]
    for number, (mode, kind) in enumerate(word.split() for word in kinds):
        pixels = numpy.random.RandomState(number).randint(0, 256, (SIZE[1], SIZE[0], 3)).astype(numpy.uint8)
        image, exif = Image.fromarray(pixels).convert(mode), Image.Exif()
        exif[0x0112] = 1 + number
        out = io.BytesIO()
        image.save(out, kind, exif=exif)
        (root / "images" / f"p{number}.{'jpg' if kind == 'JPEG' else 'png'}").write_bytes(out.getvalue())


def voc(root: Path) -> dict[str, Any]:
    (root / "boxes").mkdir()
    for number in range(8):
        (root / "boxes" / f"p{number}.xml").write_text(
            f"<annotation><filename>p{number}.jpg</filename><object><name>cat</name><difficult>0</difficult><bndbox>"
            "<xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>21</ymax></bndbox></object></annotation>"
        )
    return {"format": "voc", "annotations": "boxes"}


def coco(root: Path) -> dict[str, Any]:
    names = sorted(path.name for path in (root / "images").iterdir())
    document = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [{"id": number, "image_id": number, "category_id": 1, "bbox": [2, 3, 18, 18], "iscrowd": 0}
                        for number in range(8)],
        "categories": [{"id": 1, "name": "cat"}],
    }  # fmt: skip
    (root / "boxes.json").write_text(json.dumps(document))
    return {"format": "coco", "annotations": "boxes.json"}


def yolo(root: Path) -> dict[str, Any]:
    (root / "boxes").mkdir()
    for number in range(8):
        (root / "boxes" / f"p{number}.txt").write_text("0 0.4 0.4 0.5 0.5\n")
    (root / "data.yaml").write_text("names: [cat]\n")
    return {"format": "yolo", "annotations": "boxes", "names": "data.yaml"}


def table(root: Path) -> dict[str, Any]:
    names = sorted(path.name for path in (root / "images").iterdir())
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax", *(f"{name},,,cat,2,3,20,21" for name in names)]
    (root / "boxes.csv").write_text("\n".join(lines))
    return {"format": "csv", "annotations": "boxes.csv"}


FORMATS: list[Callable[[Path], dict[str, Any]]] = [voc, coco, yolo, table]


def mutate(random_: random.Random, data: bytes) -> bytes:
    """``data`` with one to four changes."""
    changed = bytearray(data)
    for _ in range(random_.randint(1, 4)):
        place = random_.randrange(len(changed) + 1)
        kind = random_.randrange(5)
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << random_.randrange(8)
        elif kind == 1:
            changed[place:place] = random_.choice(_WORDS)
        elif kind == 2:
            del changed[place : place + random_.choice((1, 3, 50))]
        elif kind == 3:
            changed[place:place] = changed[place : place + 64]
        else:
            changed = changed[:place]
    return bytes(changed)


def wrong_with(number: int, base: Path, settings: dict[str, Any]) -> str | None:
    """What is wrong with the ingest of mutation ``number`` of the dataset in ``base``; None if nothing is."""
    random_ = random.Random(number)
    with tempfile.TemporaryDirectory() as folder:
        root, output = Path(folder) / "source", Path(folder) / "output"
        shutil.copytree(base, root)
        output.mkdir()
        files = sorted(path for path in root.rglob("*") if path.is_file())
        for path in random_.sample(files, random_.choice((1, 1, 2, 4))):
            path.write_bytes(mutate(random_, path.read_bytes()))
        asked = {
            "images": "images",
            "classes": ["cat"],
            "split": {"eval": 0.5, "seed": 1},
            "max_rejected": 1.0,
            **settings,
        }
        request = contract.Request("ingest", {"dataset": asked}, {"source": str(root)}, str(output), 1, "n")
        begun = time.perf_counter()
        try:
            ingest.main(request)
        except contract.Failure as failure:
            if not (failure.message and failure.help):
                return f"a failure without words: {failure!r}"
        except Exception:
            return traceback.format_exc()
        seconds = time.perf_counter() - begun
        report = output / "report.json"
        if report.exists():
            told = json.loads(report.read_text())
            if told["images"] != told["accepted"] + len(told["rejected"]):
                return f"counts do not add up: {told}"
            labels = told["labels"]
            rest = sum(labels["dropped"].values()) + labels["dropped_marked"]
            if labels["boxes"] != labels["kept"] + labels["ignored"] + rest:
                return f"boxes do not add up: {labels}"
        return f"took {seconds:.2f} s" if seconds > LONGEST else None


def _decode_all(path: str, found: Any, classes: Any, progress: Any) -> None:
    """In place of TensorFlow's records: what is accepted must be readable and decodable."""
    for picture in found:
        encoded, _ = picture.read()
        assert Image.open(io.BytesIO(encoded)).convert("RGB").size == (picture.width, picture.height)


def main(count: int) -> int:
    warnings.simplefilter("ignore")
    examples.write = _decode_all
    contract.emit = lambda *arguments, **detail: None
    wrong, slowest, begun = 0, 0.0, time.perf_counter()
    for kind, make in enumerate(FORMATS):
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder) / "base"
            base.mkdir()
            pictures(base)
            settings = make(base)
            for number in range(kind, count, len(FORMATS)):
                started = time.perf_counter()
                problem = wrong_with(number, base, settings)
                slowest = max(slowest, time.perf_counter() - started)
                if problem:
                    wrong += 1
                    print(f"{make.__name__}, seed {number}: {problem}")
    seconds = time.perf_counter() - begun
    print(f"{count:,} mutated datasets: {wrong} wrong answers, slowest {slowest:.2f} s, {seconds:.0f} s in all")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
