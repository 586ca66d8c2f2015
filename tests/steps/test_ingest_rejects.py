"""Every kind of bad picture or annotation is rejected by file and reason; the others are kept."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import contract
import pictures
import pytest
from PIL import Image
from voc_dataset import SIZE, VocDataset, encoded, photograph, voc_xml


@pytest.fixture
def voc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VocDataset:
    dataset = VocDataset(tmp_path, monkeypatch)
    dataset.good()
    return dataset


def rejected(voc: VocDataset, file: str, reason: str) -> None:
    """The one rejected file is ``file``, for a reason that has the words ``reason``."""
    report = voc.run()
    assert [item["file"] for item in report["rejected"]] == [file]
    assert reason in report["rejected"][0]["reason"]
    assert (report["images"], report["accepted"]) == (9, 8)
    assert report["clipped"] == report["converted"] == []


GOOD = encoded(photograph(99))


def test_missing_image(voc: VocDataset) -> None:
    voc.add("bad", None)
    rejected(voc, "annotations/bad.xml", "no picture bad")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_truncated_jpeg(voc: VocDataset, kept: float) -> None:
    voc.add("bad", GOOD[: int(len(GOOD) * kept)])
    rejected(voc, "images/bad.jpg", "cannot be decoded")


def test_jpeg_without_its_end_marker_though_a_thumbnail_has_one(voc: VocDataset) -> None:
    thumbnail = b"Exif\0\0" + encoded(photograph(1, (8, 8)))
    header = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    voc.add("bad", header + GOOD[2:-2])
    rejected(voc, "images/bad.jpg", "truncated")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated_png(voc: VocDataset, kept: float) -> None:
    data = encoded(photograph(99), "PNG")
    voc.add("bad", data[: int(len(data) * kept)], ending=".png")
    rejected(voc, "images/bad.png", "cannot be decoded")


def test_png_with_a_wrong_checksum(voc: VocDataset) -> None:
    data = bytearray(encoded(photograph(99), "PNG"))
    data[-20] ^= 1
    voc.add("bad", bytes(data), ending=".png")
    rejected(voc, "images/bad.png", "cannot be decoded")


def test_neither_jpeg_nor_png(voc: VocDataset) -> None:
    voc.add("bad", encoded(photograph(99), "GIF"))
    rejected(voc, "images/bad.jpg", "neither JPEG nor PNG")


def test_more_pixels_than_can_be_meant(voc: VocDataset) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    voc.add("bad", bomb, voc_xml(size=(30000, 30000)), ending=".png")
    rejected(voc, "images/bad.png", "pixels")


def test_huge_file(voc: VocDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = encoded(photograph(99, (200, 200)))
    monkeypatch.setattr(pictures, "MAX_BYTES", len(noise) - 1)
    voc.add("bad", noise, voc_xml(size=(200, 200)))
    rejected(voc, "images/bad.jpg", "larger than")


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<annotation>",
        voc_xml()[:-5],
        "<annotation></wrong>",
        "\0",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
    ],
)
def test_broken_xml(voc: VocDataset, xml: str | bytes) -> None:
    voc.add("bad", GOOD, xml)
    rejected(voc, "annotations/bad.xml", "broken XML")


def test_xml_that_is_no_annotation(voc: VocDataset) -> None:
    voc.add("bad", GOOD, "<html/>")
    rejected(voc, "annotations/bad.xml", "not a Pascal VOC annotation")


@pytest.mark.parametrize(
    "declaration",
    [
        "<!DOCTYPE annotation>",
        '<!DOCTYPE annotation SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE annotation [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_document_type_and_entities(voc: VocDataset, declaration: str) -> None:
    voc.add("bad", GOOD, declaration + voc_xml())
    rejected(voc, "annotations/bad.xml", "declaration")


def test_xml_nested_deep(voc: VocDataset) -> None:
    voc.add("bad", GOOD, "<annotation>" + "<a>" * 5000 + "</a>" * 5000 + "</annotation>")
    rejected(voc, "annotations/bad.xml", "nested")


def test_huge_xml(voc: VocDataset) -> None:
    voc.add("bad", GOOD, "<annotation>" + " " * (1 << 20) + "</annotation>")
    rejected(voc, "annotations/bad.xml", "larger than")


def test_unknown_label(voc: VocDataset) -> None:
    voc.add("bad", GOOD, voc_xml([("cat", (1, 1, 9, 9)), ("dog", (10, 5, 30, 25))]))
    rejected(voc, "annotations/bad.xml", "unknown label 'dog'")


def test_a_reason_neither_floods_nor_controls_a_terminal(voc: VocDataset) -> None:
    voc.add("bad", GOOD, voc_xml([("\x85\u202e" + "x" * 5000, (1, 1, 9, 9))]))
    rejected(voc, "annotations/bad.xml", "unknown label")
    reason = voc.report()["rejected"][0]["reason"]
    assert len(reason) <= 300 and reason.isprintable()


@pytest.mark.parametrize("edges", [(61, 5, 80, 25), (-20, 5, 0, 25), (10, 40, 30, 60), (-9, -9, -1, -1)])
def test_box_outside_the_picture(voc: VocDataset, edges: tuple[int, ...]) -> None:
    voc.add("bad", GOOD, voc_xml([("cat", edges)]))
    rejected(voc, "annotations/bad.xml", "lies outside")


def test_box_mostly_outside_the_picture(voc: VocDataset) -> None:
    voc.add("bad", GOOD, voc_xml([("cat", (50, 5, 90, 25))]))
    rejected(voc, "annotations/bad.xml", "lies mostly outside")


@pytest.mark.parametrize("edges", [(10, 5, 10, 25), (10, 25, 30, 25), (30, 5, 10, 25)])
def test_box_of_no_area(voc: VocDataset, edges: tuple[int, ...]) -> None:
    voc.add("bad", GOOD, voc_xml([("cat", edges)]))
    rejected(voc, "annotations/bad.xml", "no area")


def test_box_of_less_than_a_pixel(voc: VocDataset) -> None:
    voc.add("bad", GOOD, voc_xml([("cat", (10, 5, 10.5, 25))]))
    rejected(voc, "annotations/bad.xml", "less than a pixel")


@pytest.mark.parametrize("edge", ["nan", "inf", "", "ten", "1e999"])
def test_box_edge_that_is_no_number(voc: VocDataset, edge: str) -> None:
    voc.add("bad", GOOD, voc_xml([("cat", (10, 5, edge, 25))]))
    rejected(voc, "annotations/bad.xml", "xmax")


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<object><bndbox/></object>", "no <name>"),
        ("<object><name>cat</name></object>", "no <bndbox>"),
        ("<size><width>60</width></size>", "<height>"),
    ],
)
def test_incomplete_annotation(voc: VocDataset, xml: str, reason: str) -> None:
    voc.add("bad", GOOD, f"<annotation>{xml}</annotation>")
    rejected(voc, "annotations/bad.xml", reason)


@pytest.mark.parametrize("size", [(40, 60), (61, 40), (0, 0), (120, 80)])
def test_image_size_other_than_the_xml_says(voc: VocDataset, size: tuple[int, int]) -> None:
    voc.add("bad", GOOD, voc_xml(size=size))
    rejected(voc, "annotations/bad.xml", "the picture has 60x40")


@pytest.mark.parametrize(
    "filename", ["../secret.jpg", "a/../../secret.jpg", "/etc/secret.jpg", "..\\s.jpg", "C:\\s.jpg"]
)
def test_filename_that_leads_out_of_the_folder(voc: VocDataset, filename: str) -> None:
    (voc.root / "secret.jpg").write_bytes(GOOD)
    voc.add("bad", None, voc_xml(filename=filename))
    rejected(voc, "annotations/bad.xml", "leads out")


@pytest.mark.parametrize("kind", ["image", "annotation"])
def test_symbolic_link_out_of_the_source(voc: VocDataset, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    voc.add("bad", GOOD)
    place = voc.images / "bad.jpg" if kind == "image" else voc.annotations / "bad.xml"
    place.rename(outside)
    place.symlink_to(outside)
    rejected(voc, str(place.relative_to(voc.root)), "symbolic link leads out")


def test_symbolic_link_to_nothing(voc: VocDataset) -> None:
    voc.add("bad", None)
    (voc.images / "bad.jpg").symlink_to(voc.images / "gone.jpg")
    rejected(voc, "images/bad.jpg", "not a file")


def test_pipe_instead_of_a_picture(voc: VocDataset) -> None:
    voc.add("bad", None)
    os.mkfifo(voc.images / "bad.jpg")
    rejected(voc, "images/bad.jpg", "not a file")


def test_two_pictures_of_one_name(voc: VocDataset) -> None:
    voc.add("bad", GOOD)
    (voc.images / "bad.png").write_bytes(encoded(photograph(98), "PNG"))
    rejected(voc, "annotations/bad.xml", "more than one picture")


def test_two_annotations_of_one_picture(voc: VocDataset) -> None:
    voc.add("zz-again", None, voc_xml(filename="good-00.jpg"))
    rejected(voc, "annotations/zz-again.xml", "already annotated by good-00.xml")


@pytest.mark.parametrize("setting", ["images", "annotations"])
@pytest.mark.parametrize("folder", ["..", "../elsewhere", "/tmp", "link", "absent"])
def test_folder_outside_the_source_or_absent(voc: VocDataset, setting: str, folder: str, tmp_path: Path) -> None:
    (voc.root / "link").symlink_to(tmp_path)
    voc.settings[setting] = folder
    with pytest.raises(contract.Failure) as failure:
        voc.run()
    assert failure.value.code == "dataset-folder"
    assert setting in failure.value.message


def test_random_damage_is_rejected_or_accepted_but_never_raises(voc: VocDataset) -> None:
    import numpy

    random = numpy.random.RandomState(5)
    sources = [GOOD, encoded(photograph(99), "PNG"), encoded(photograph(99, mode="CMYK"))]
    for number in range(300):
        data = bytearray(sources[number % 3])
        for place in random.randint(0, len(data), 8):
            data[place] = random.randint(256)
        try:
            loaded = pictures.load(bytes(data), "x.jpg")
        except pictures.Rejected:
            continue
        with Image.open(io.BytesIO(loaded.encoded)) as image:
            assert image.convert("RGB").size == loaded.size


def test_size_is_only_compared_where_the_xml_gives_one(voc: VocDataset) -> None:
    voc.add("fine", GOOD, voc_xml(size=None))
    report = voc.run()
    assert report["rejected"] == []
    assert voc.picture("fine")[0].width == SIZE[0]
