"""What ingest accepts, how it splits, what it writes, and when it refuses the dataset as a whole."""

from __future__ import annotations

import io
import json
import os
import random
from pathlib import Path

import contract
import numpy
import pictures
import pytest
import voc as voc_reader
from dataset import Picture
from PIL import Image
from split import copies, describe, divide
from voc_dataset import BOX, SIZE, VocDataset, encoded, photograph, voc_xml


@pytest.fixture
def voc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VocDataset:
    return VocDataset(tmp_path, monkeypatch)


def refused(voc: VocDataset) -> contract.Failure:
    with pytest.raises(contract.Failure) as failure:
        voc.run()
    assert failure.value.help
    error: contract.Failure = failure.value
    return error


def test_good_pictures_keep_their_bytes(voc: VocDataset) -> None:
    voc.good()
    voc.add("drawn", encoded(photograph(50), "PNG"), ending=".png")
    report = voc.run()
    assert (report["images"], report["accepted"], report["rejected"], report["converted"]) == (9, 9, [], [])
    assert report["boxes"] == {"train": {"cat": 7}, "eval": {"cat": 2}}
    assert voc.picture("good-03")[1:] == (encoded(photograph(3)), "jpeg")
    assert voc.picture("drawn")[1:] == (encoded(photograph(50), "PNG"), "png")
    assert [item[0].id for item in voc.written["train"]] == sorted(item[0].id for item in voc.written["train"])


def test_every_output_has_the_same_bytes_again(voc: VocDataset) -> None:
    voc.good()
    voc.add("bad", None)
    names = ["report.json", "split.json", "eval.json"]
    voc.run()
    first = [(voc.output / name).read_bytes() for name in names]
    # Neither the order of a folder nor the age of a file may matter.
    for path in sorted(voc.images.iterdir(), reverse=True):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        os.utime(path, (1, 1))
    voc.run()
    assert [(voc.output / name).read_bytes() for name in names] == first


def test_ground_truth_is_what_pycocotools_reads(voc: VocDataset) -> None:
    voc.settings["classes"] = ["dog", "cat"]
    for number in range(4):
        objects = [("cat", BOX), ("dog", (0, 0, 60, 40))]
        voc.add(f"p{number}", encoded(photograph(number)), voc_xml(objects))
    voc.run()
    truth = json.loads((voc.output / "eval.json").read_text())
    assert truth["categories"] == [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    assert [(image["id"], image["width"], image["height"]) for image in truth["images"]] == [(1, *SIZE)]
    assert truth["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [10, 5, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 60, 40], "area": 2400, "iscrowd": 0},
    ]
    assert truth["images"][0]["file_name"] == voc.written["eval"][0][0].file_name


def test_picture_without_an_object_is_a_negative(voc: VocDataset) -> None:
    voc.good()
    voc.add("empty", encoded(photograph(50)), voc_xml([]))
    assert voc.run()["accepted"] == 9
    assert voc.picture("empty")[0].boxes == []


def test_picture_without_an_annotation_is_left_out_and_named(voc: VocDataset) -> None:
    voc.good()
    (voc.images / "alone.jpg").write_bytes(encoded(photograph(50)))
    report = voc.run()
    assert report["unannotated"] == ["images/alone.jpg"]
    assert report["images"] == 8


@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".png", ".JPG"])
def test_picture_is_found_by_stem_without_a_filename(voc: VocDataset, ending: str) -> None:
    voc.good()
    voc.add("a.b", encoded(photograph(50), "PNG" if ending == ".png" else "JPEG"), ending=ending)
    voc.run()
    assert voc.picture("a.b")[0].file_name == "a.b" + ending


def test_filename_is_used_where_no_picture_has_the_stem(voc: VocDataset) -> None:
    voc.good()
    (voc.images / "other.jpg").write_bytes(encoded(photograph(50)))
    voc.add("label", None, voc_xml(filename="other.jpg"))
    voc.run()
    assert voc.picture("other")[0].file_name == "other.jpg"


def test_stale_filename_does_not_matter_where_the_stem_fits(voc: VocDataset) -> None:
    voc.good()
    voc.add("renamed", encoded(photograph(50)), voc_xml(filename="good-00.jpg"))
    assert voc.run()["rejected"] == []


def test_box_slightly_over_the_edge_is_clipped_and_reported(voc: VocDataset) -> None:
    voc.good()
    voc.add("over", encoded(photograph(50)), voc_xml([("cat", (-1, 5, 61.5, 25))]))
    report = voc.run()
    assert report["clipped"] == [
        {"file": "annotations/over.xml", "reason": "cat box (-1, 5, 61.5, 25) to (0, 5, 60, 25)"}
    ]
    assert voc.picture("over")[0].boxes[0][1:5] == (0, 5, 60, 25)


def test_nested_parts_and_difficult_objects(voc: VocDataset) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part><difficult>1</difficult></object>"
    voc.good()
    voc.add("parts", encoded(photograph(50)), voc_xml().replace("</object>", part))
    for setting, kept in (("ignore", [("cat", True)]), ("keep", [("cat", False)]), ("drop", [])):
        voc.settings["difficult"] = setting
        report = voc.run()
        assert [(box.label, box.ignored) for box in voc.picture("parts")[0].boxes] == kept
        counts = report["labels"]
        assert counts["boxes"] == 9 == counts["kept"] + counts["ignored"] + counts["dropped_marked"]
        truth = json.loads((voc.output / "eval.json").read_text())
        assert sum(row["iscrowd"] for row in truth["annotations"]) <= counts["ignored"]


# Conversions


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.mode == "RGB"
    assert image.getexif().get(0x0112, 1) == 1
    return image


@pytest.mark.parametrize(
    ("mode", "kind", "word"),
    [
        ("L", "JPEG", "greyscale to RGB"),
        ("CMYK", "JPEG", "CMYK to RGB"),
        ("L", "PNG", "greyscale to RGB"),
        ("1", "PNG", "black and white to RGB"),
        ("P", "PNG", "palette to RGB"),
        ("RGBA", "PNG", "transparency to RGB"),
    ],
)
def test_other_modes_become_rgb(voc: VocDataset, mode: str, kind: str, word: str) -> None:
    voc.good()
    image = photograph(50, mode=mode)
    ending = ".png" if kind == "PNG" else ".jpg"
    voc.add("odd", encoded(image, kind), ending=ending)
    assert voc.run()["converted"] == [{"file": f"images/odd{ending}", "reason": word}]
    _, data, written_as = voc.picture("odd")
    assert written_as == "png"
    expected = Image.open(io.BytesIO(encoded(image, kind))).convert("RGB")
    assert numpy.array_equal(numpy.asarray(opened(data)), numpy.asarray(expected))


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    values = numpy.arange(0, 65536, 27, dtype=numpy.uint16)[:2400].reshape(40, 60)
    loaded = pictures.load(encoded(Image.fromarray(values), "PNG"), "x.png")
    assert numpy.array_equal(numpy.asarray(opened(loaded.encoded))[:, :, 0], values >> 8)


def test_transparent_pixels_become_white() -> None:
    loaded = pictures.load(encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "PNG"), "x.png")
    assert opened(loaded.encoded).getpixel((0, 0)) == (255, 255, 255)


def test_png_content_in_a_jpg_file_is_accepted_as_it_is(voc: VocDataset) -> None:
    voc.good()
    data = encoded(photograph(50), "PNG")
    voc.add("odd", data)
    assert voc.run()["converted"] == [{"file": "images/odd.jpg", "reason": "PNG content in a .jpg file"}]
    assert voc.picture("odd")[1:] == (data, "png")


def test_trailing_bytes_of_a_camera_are_kept(voc: VocDataset) -> None:
    voc.good()
    data = encoded(photograph(50)) + b"\0" * 10000
    voc.add("camera", data)
    assert voc.run()["rejected"] == []
    assert voc.picture("camera")[1] == data


def turned(image: Image.Image, orientation: int) -> bytes:
    """``image`` as a camera held another way stores it: a viewer that heeds EXIF shows ``image``."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image.transpose(undo), "PNG", exif=exif)


def marked() -> Image.Image:
    """Black, with a white rectangle at BOX."""
    image = Image.new("RGB", SIZE)
    image.paste((255, 255, 255), BOX)
    return image


def white(data: bytes) -> tuple[int, int, int, int] | None:
    return opened(data).getbbox()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_becomes_upright(voc: VocDataset, orientation: int) -> None:
    voc.good()
    voc.add("turned", turned(marked(), orientation), ending=".png")
    report = voc.run()
    assert report["converted"] == [
        {"file": "images/turned.png", "reason": f"EXIF orientation {orientation} to upright"}
    ]
    picture, data, _ = voc.picture("turned")
    assert white(data) == BOX == picture.boxes[0][1:5]
    assert (picture.width, picture.height) == SIZE


@pytest.mark.parametrize("orientation", range(5, 9))
def test_boxes_labelled_on_the_stored_pixels_turn_with_them(voc: VocDataset, orientation: int) -> None:
    stored = Image.open(io.BytesIO(turned(marked(), orientation)))
    stored_box = stored.getbbox()
    assert stored_box is not None
    voc.good()
    xml = voc_xml([("cat", stored_box)], size=stored.size)
    voc.add("turned", turned(marked(), orientation), xml, ending=".png")
    voc.run()
    picture, data, _ = voc.picture("turned")
    assert white(data) == BOX == picture.boxes[0][1:5]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_agrees_with_pillow(orientation: int) -> None:
    if orientation == 1:
        assert pictures.upright(BOX, 1, SIZE) == BOX
        return
    stored = Image.open(io.BytesIO(turned(marked(), orientation)))
    assert pictures.upright(stored.getbbox(), orientation, stored.size) == BOX


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\xff"])
def test_broken_exif_is_no_reason_to_lose_a_picture(exif: bytes) -> None:
    data = encoded(photograph(50), exif=exif)
    assert pictures.load(data, "x.jpg").encoded == data


# The split


def fake_pictures(count: int, content: str = "{}") -> list[Picture]:
    import hashlib

    return [
        Picture(f"{number:03d}", "", hashlib.sha256(content.format(number).encode()).hexdigest(), 1, 1, [], None)
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "share", "held_out"), [(200, 0.2, 40), (10, 0.25, 2), (3000, 0.1, 300)])
def test_share_of_eval(count: int, share: float, held_out: int) -> None:
    train, kept = divide(fake_pictures(count), share, 7)
    assert (len(train), len(kept)) == (count - held_out, held_out)
    assert not {picture.sha256 for picture in train} & {picture.sha256 for picture in kept}


def test_split_depends_on_content_and_seed_only() -> None:
    pictures = fake_pictures(100)
    held_out = {picture.sha256 for picture in divide(pictures, 0.2, 7)[1]}
    renamed = [picture._replace(id=f"x{picture.id[::-1]}") for picture in pictures]
    random.Random(3).shuffle(renamed)
    assert {picture.sha256 for picture in divide(renamed, 0.2, 7)[1]} == held_out
    assert {picture.sha256 for picture in divide(pictures, 0.2, 8)[1]} != held_out


def test_split_is_the_one_released_models_were_made_with() -> None:
    _, held_out = divide(fake_pictures(20), 0.2, 7)
    assert [picture.id for picture in held_out] == ["000", "012", "015", "019"]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_exact_copies_never_straddle(share: float) -> None:
    pictures = fake_pictures(40)
    doubled = pictures + [picture._replace(id=f"copy-{picture.id}") for picture in pictures]
    train, held_out = divide(doubled, share, 7)
    assert len(train) + len(held_out) == 80
    assert not {picture.sha256 for picture in train} & {picture.sha256 for picture in held_out}
    assert abs(len(held_out) - share * 80) <= 1
    assert len(copies(doubled)) == 40


def test_description_changes_with_any_picture() -> None:
    pictures = fake_pictures(3)
    digest = describe(pictures)["digest"]
    assert digest.startswith("sha256:")
    assert describe([pictures[0], pictures[1], pictures[2]._replace(sha256="0" * 64)])["digest"] != digest


# Refusing the whole


def test_too_many_rejected(voc: VocDataset) -> None:
    voc.good(9)
    voc.add("bad", None)
    voc.settings["max_rejected"] = 0.09
    failure = refused(voc)
    assert failure.code == "dataset-rejected"
    assert "1 of 10" in failure.message and "annotations/bad.xml" in failure.message
    assert len(voc.report()["rejected"]) == 1
    assert voc.written == {}


def test_as_many_rejected_as_allowed(voc: VocDataset) -> None:
    voc.good(9)
    voc.add("bad", None)
    voc.settings["max_rejected"] = 0.1
    assert len(voc.run()["rejected"]) == 1


def test_rejected_files_are_told_but_not_thousands(voc: VocDataset, capsys: pytest.CaptureFixture[str]) -> None:
    voc.good()
    for number in range(30):
        voc.add(f"gone-{number:02d}", None)
    assert refused(voc).code == "dataset-rejected"
    events = [json.loads(line[1:]) for line in capsys.readouterr().out.rstrip("\n").split("\n")]
    told = [event["text"] for event in events if event["event"] == "message"]
    assert sum(text.startswith("rejected annotations/gone-") for text in told) == 20
    assert "rejected 10 more, all named in report.json" in told
    assert "38 pictures: 8 accepted, 30 rejected, 0 boxes clipped, 0 converted" in told


def test_no_annotation_at_all(voc: VocDataset) -> None:
    assert refused(voc).code == "dataset-empty"


@pytest.mark.parametrize(("share", "empty"), [(0.01, "eval"), (0.99, "train")])
def test_empty_split(voc: VocDataset, share: float, empty: str) -> None:
    voc.good()
    voc.settings["split"]["eval"] = share
    failure = refused(voc)
    assert failure.code == "dataset-empty-split"
    assert empty in failure.message


@pytest.mark.parametrize("which", ["train", "eval"])
def test_class_with_no_box_in_a_split(voc: VocDataset, which: str) -> None:
    voc.good()
    voc.run()
    rare = voc.written["eval" if which == "train" else "train"][0][0].id
    (voc.annotations / f"{rare}.xml").write_text(voc_xml([("cat", BOX), ("lynx", BOX)]))
    voc.settings["classes"] = ["cat", "lynx"]
    failure = refused(voc)
    assert failure.code == "dataset-class-without-box"
    assert failure.message == f"{which} has no box of lynx"


def test_picture_that_changes_while_it_is_read(voc: VocDataset) -> None:
    voc.good(1)
    found = voc_reader.read(str(voc.root), voc.settings, lambda done, total: None)
    (voc.images / "good-00.jpg").write_bytes(encoded(photograph(77)))
    with pytest.raises(contract.Failure) as failure:
        found.pictures[0].read()
    assert failure.value.code == "dataset-changed"


def test_progress_is_told_about_twenty_times(voc: VocDataset, capsys: pytest.CaptureFixture[str]) -> None:
    voc.good(50)
    voc.run()
    events = [json.loads(line[1:]) for line in capsys.readouterr().out.rstrip("\n").split("\n")]
    reading = [event for event in events if event["event"] == "progress" and event["stage"] == "reading"]
    assert 20 <= len(reading) <= 26
    assert (reading[-1]["step"], reading[-1]["steps"]) == (50, 50)
