"""A Pascal VOC dataset made for one test: write what it needs, run ingest, read the report."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import contract
import examples
import ingest
import numpy
import pytest
from PIL import Image

SIZE = (60, 40)
BOX = (10, 5, 30, 25)
Object = tuple[str, Sequence[object]]


def photograph(number: int, size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """A picture like no other: noise seeded by ``number``."""
    random = numpy.random.RandomState(number)
    pixels = random.randint(0, 256, (size[1], size[0], 3)).astype(numpy.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def voc_xml(
    objects: Sequence[Object] = (("cat", BOX),),
    size: tuple[int, int] | None = SIZE,
    filename: str | None = None,
) -> str:
    parts = ["<annotation>"]
    if filename is not None:
        parts.append(f"<filename>{filename}</filename>")
    if size is not None:
        parts.append(f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>")
    for label, edges in objects:
        box = "".join(
            f"<{key}>{edge}</{key}>" for key, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True)
        )
        parts.append(f"<object><name>{label}</name><bndbox>{box}</bndbox></object>")
    return "\n".join([*parts, "</annotation>"])


class VocDataset:
    """``good`` pictures named good-00.. that need nothing said about them, and whatever a test adds."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.output = root / "source", root / "output"
        self.images, self.annotations = self.root / "images", self.root / "annotations"
        for folder in (self.images, self.annotations, self.output):
            folder.mkdir(parents=True)
        self.settings: dict[str, Any] = {
            "format": "voc",
            "images": "images",
            "annotations": "annotations",
            "classes": ["cat"],
            "split": {"eval": 0.25, "seed": 7},
            "max_rejected": 0.5,
        }
        self.written: dict[str, list[tuple[Any, bytes, str]]] = {}
        # TensorFlow, which these records need, is not installed beside the control plane.
        monkeypatch.setattr(examples, "write", self._write)

    def _write(self, path: str, pictures: Sequence[Any], classes: Sequence[str], progress: Any) -> None:
        self.written[Path(path).stem] = [(picture, *picture.read()) for picture in pictures]

    def good(self, count: int = 8) -> None:
        for number in range(count):
            self.add(f"good-{number:02d}", encoded(photograph(number)))

    def add(self, stem: str, picture: bytes | None, xml: str | bytes | None = None, ending: str = ".jpg") -> None:
        """One picture and its annotation; the default annotation has one cat."""
        if picture is not None:
            (self.images / (stem + ending)).write_bytes(picture)
        text = voc_xml() if xml is None else xml
        (self.annotations / f"{stem}.xml").write_bytes(text if isinstance(text, bytes) else text.encode())

    def run(self) -> dict[str, Any]:
        """Ingests the dataset; its report."""
        request = contract.Request(
            "ingest", {"dataset": self.settings}, {"source": str(self.root)}, str(self.output), 1, "nonce"
        )
        ingest.main(request)
        return self.report()

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.output / "report.json").read_text())
        return report

    def picture(self, stem: str) -> tuple[Any, bytes, str]:
        """The accepted picture ``stem``, the bytes written for it and their format."""
        return next(item for pictures in self.written.values() for item in pictures if item[0].id == stem)
