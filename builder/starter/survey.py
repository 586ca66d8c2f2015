"""What is in a folder of data: its format, where its parts lie, its classes and the sizes of its pictures."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from builder.errors import DatasetError
from builder.starter import labels
from builder.starter.files import PICTURES, Files, find, main_folder, split_words

MEASURED = 500
"""Pictures whose size is read, at most: their headers only."""

PLACEHOLDER = "<split>"


@dataclass(frozen=True)
class Survey:
    """A dataset section in the making. Paths are within the folder; ``split`` holds the two words for <split>."""

    format: str
    images: str | None = None
    annotations: str | None = None
    records: str | None = None
    names: str | None = None
    split: tuple[str, str] | None = None
    lists: tuple[str, str] | None = None
    classes: tuple[str, ...] = ()
    pictures: int = 0
    median_size: tuple[int, int] | None = None


def survey(folder: Path) -> Survey:
    """What lies in ``folder``. DatasetError if it is no folder, or holds no format that can be read."""
    if not folder.is_dir():
        raise DatasetError(f"no folder {folder}", help="--data names the folder of the data", code="dataset-folder")
    files = find(folder)
    pictures = files.of(*PICTURES)
    found = _records(files) or _coco(files) or _voc(files) or _csv(files) or _yolo(files)
    if found is None:
        raise DatasetError(
            f"{folder} holds no annotations that are known "
            f"({len(pictures)} pictures; looked for VOC .xml, COCO .json, .csv, YOLO .txt and .tfrecord)",
            help="see the formats in docs/manifest.md",
            code="dataset-format",
        )
    if found.format == "tfrecord":
        return found
    return replace(_placed(found, pictures), pictures=len(pictures), median_size=_median(folder, pictures))


def _records(files: Files) -> Survey | None:
    records = files.of(".tfrecord", ".record")
    if not records:
        return None
    classes: tuple[str, ...] = ()
    for path in files.of(".pbtxt"):
        classes = classes or labels.label_map(files.root / path)
    names = [path.name for path in records]
    if words := _words_in(names):
        pattern = next(str(path).replace(words[0], PLACEHOLDER) for path in records if words[0] in path.name)
        return Survey("tfrecord", records=pattern, split=words, classes=classes)
    return Survey("tfrecord", records=f"**/*{records[0].suffix}", classes=classes)


def _coco(files: Files) -> Survey | None:
    known = [(path, classes) for path in files.of(".json") if (classes := labels.coco_categories(files.root / path))]
    if not known:
        return None
    paths = [path for path, _ in known]
    classes = tuple(dict.fromkeys(name for _, found in known for name in found))
    words = split_words(path.parent for path in paths) or _words_in([path.name for path in paths])
    chosen = next((path for path in paths if words and words[0] in str(path)), paths[0])
    return Survey("coco", annotations=_with_placeholder(chosen, words), split=words, classes=classes)


def _voc(files: Files) -> Survey | None:
    annotations = [path for path in files.of(".xml") if labels.is_voc(files.root / path)]
    folder = main_folder(annotations)
    if folder is None:
        return None
    words = split_words(path.parent for path in annotations)
    chosen = next((path.parent for path in annotations if words and words[0] in path.parts), folder)
    found = Survey(
        "voc",
        annotations=_with_placeholder(chosen, words),
        split=words,
        classes=labels.voc_classes(files.root / path for path in annotations),
    )
    lists = {
        path.stem: str(path) for path in files.of(".txt") if "ImageSets" in path.parts and path.parts[-2] == "Main"
    }
    if words is None and "train" in lists and "val" in lists:
        return replace(found, lists=(lists["train"], lists["val"]))
    return found


def _csv(files: Files) -> Survey | None:
    known = [(path, classes) for path in files.of(".csv") if (classes := labels.csv_classes(files.root / path))]
    if not known:
        return None
    paths = [path for path, _ in known]
    words = split_words(path.parent for path in paths) or _words_in([path.name for path in paths])
    chosen = next((path for path in paths if words and words[0] in str(path)), paths[0])
    classes = tuple(dict.fromkeys(name for _, found in known for name in found))
    return Survey("csv", annotations=_with_placeholder(chosen, words), split=words, classes=classes)


def _yolo(files: Files) -> Survey | None:
    stems = {path.stem for path in files.of(*PICTURES)}
    texts = [path for path in files.of(".txt") if path.stem in stems]
    folder = main_folder(texts)
    numbers = labels.yolo_numbers(files.root / path for path in texts)
    if folder is None or not numbers:
        return None
    words = split_words(path.parent for path in texts)
    chosen = next((path.parent for path in texts if words and words[0] in path.parts), folder)
    names, classes = None, tuple(f"class-{number}" for number in range(max(numbers) + 1))
    for path in files.of(".yaml", ".yml", ".names", ".txt"):
        if path.suffix == ".txt" and path.name not in ("classes.txt", "labels.txt", "obj.names"):
            continue
        if found := labels.yolo_names(files.root / path):
            names, classes = str(path), found
            break
    return Survey("yolo", annotations=_with_placeholder(chosen, words), split=words, names=names, classes=classes)


def _placed(found: Survey, pictures: Sequence[PurePosixPath]) -> Survey:
    """``found`` with the folder of its pictures; the split's words hold only where the pictures have them too."""
    folder = main_folder(pictures)
    if folder is None:
        return replace(found, images="images")
    if found.split is None:
        return replace(found, images=str(folder))
    words = found.split
    own = [path.parent for path in pictures if words[0] in path.parts]
    if own:
        return replace(found, images=_with_placeholder(own[0], words))
    return replace(found, images=str(folder))


def _words_in(names: Sequence[str]) -> tuple[str, str] | None:
    """The words for the two halves if they stand in file names that are otherwise the same."""
    for train in ("train2017", "train2014", "training", "train"):
        for other in ("val2017", "val2014", "validation", "valid", "val", "eval", "test"):
            if any(train in name and name.replace(train, other) in names for name in names):
                return train, other
    return None


def _with_placeholder(path: PurePosixPath, words: tuple[str, str] | None) -> str:
    text = str(path)
    return text.replace(words[0], PLACEHOLDER, 1) if words else text


def _median(root: Path, pictures: Sequence[PurePosixPath]) -> tuple[int, int] | None:
    """Median (width, height) of some of the pictures, from their headers."""
    sizes = []
    for path in pictures[:: max(1, len(pictures) // MEASURED)][:MEASURED]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(root / path, formats=["JPEG", "PNG"]) as image:
                    sizes.append(image.size)
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
    if not sizes:
        return None
    return int(statistics.median(width for width, _ in sizes)), int(statistics.median(height for _, height in sizes))
