"""The class names in annotation files. The files are untrusted: only so much of each is read, and none is believed.

What is not a file of its format gives an empty answer: whether the data can be used is for the build to say.
"""

from __future__ import annotations

import csv
import html
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

MOST_FILES = 5000
MOST_CLASSES = 1000
_MOST_BYTES = 4 << 20
_CHUNK = 1 << 20

_VOC_OBJECT = re.compile(r"<object>.{0,2000}?<name>\s*([^<]{1,64}?)\s*</name>", re.DOTALL)
_LABEL_MAP_NAME = re.compile(r"""\bname\s*:\s*["']([^"'\n]{1,64})["']""")
_YOLO_LINE = re.compile(r"\s*(\d{1,4})((?:\s+[-+.0-9eE]{1,32}){4,})\s*")


def _text(path: Path, most: int = _MOST_BYTES) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(most).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def _by_number(names: Iterable[str]) -> tuple[str, ...]:
    """The names that can be labels, the frequent ones first."""
    counted = Counter(name.strip() for name in names)
    fit = [name for name in counted if name and name.isprintable() and len(name) <= 64]
    return tuple(sorted(fit, key=lambda name: (-counted[name], name))[:MOST_CLASSES])


def is_voc(path: Path) -> bool:
    return "<annotation" in _text(path, 2000)


def voc_classes(paths: Iterable[Path]) -> tuple[str, ...]:
    return _by_number(
        html.unescape(name)
        for path in itertools.islice(paths, MOST_FILES)
        for name in _VOC_OBJECT.findall(_text(path, 1 << 18))
    )


def coco_categories(path: Path) -> tuple[str, ...]:
    """Names of the ``categories`` of a COCO JSON, in their order; the file is read in pieces, not whole."""
    try:
        with path.open("rb") as stream:
            if not stream.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                return ()
            stream.seek(0)
            tail = b""
            for chunk in iter(lambda: stream.read(_CHUNK), b""):
                window = tail + chunk
                start = window.find(b'"categories"')
                if start >= 0:
                    window += stream.read(_CHUNK)
                    return _names_after(window[start + len(b'"categories"') :])
                tail = window[-32:]
    except OSError:
        return ()
    return ()


def _names_after(data: bytes) -> tuple[str, ...]:
    text = data.decode("utf-8", "replace").lstrip().removeprefix(":").lstrip()
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
        names = [str(item["name"]) for item in found]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()
    return tuple(name for name in names if name.isprintable() and 0 < len(name) <= 64)[:MOST_CLASSES]


def csv_classes(path: Path) -> tuple[str, ...]:
    """Labels of an annotation CSV: Open Images' LabelName, or the plain form's class."""
    lines = _text(path).splitlines()[:100_000]
    try:
        rows = csv.reader(lines)
        header = [name.strip().lower() for name in next(rows, [])]
        column = next((header.index(name) for name in ("labelname", "class", "label") if name in header), None)
        if column is None or "xmin" not in header:
            return ()
        return _by_number(row[column] for row in rows if len(row) == len(header))
    except csv.Error:
        return ()


def yolo_numbers(paths: Iterable[Path]) -> set[int]:
    """The class numbers in label files; empty if one of the first is no label file."""
    numbers: set[int] = set()
    for path in itertools.islice(paths, MOST_FILES):
        for line in _text(path, 1 << 18).splitlines():
            found = _YOLO_LINE.fullmatch(line)
            if line.strip() and not found:
                return set()
            if found:
                numbers.add(int(found[1]))
    return {number for number in numbers if number < MOST_CLASSES}


def yolo_names(path: Path) -> tuple[str, ...]:
    """The names of a names file (one a line) or of the ``names`` of a data.yaml (a list or numbered lines)."""
    text = _text(path, 1 << 18)
    if path.suffix not in (".yaml", ".yml"):
        return tuple(line.strip() for line in text.splitlines() if line.strip())[:MOST_CLASSES]
    inline = re.search(r"^names\s*:\s*\[([^\]]*)\]", text, re.MULTILINE)
    if inline:
        return tuple(word.strip().strip("'\"") for word in inline[1].split(",") if word.strip())[:MOST_CLASSES]
    block = re.search(r"^names\s*:[ \t]*\r?\n((?:[ \t]*(?:-|\d+\s*:)[^\n]*\n?)+)", text, re.MULTILINE)
    if block is None:
        return ()
    lines = [re.sub(r"^\s*(?:-|\d+\s*:)\s*", "", line).strip().strip("'\"") for line in block[1].splitlines()]
    return tuple(line for line in lines if line)[:MOST_CLASSES]


def label_map(path: Path) -> tuple[str, ...]:
    """The names of a label map (.pbtxt) of the Object Detection API, in the file's order."""
    return tuple(dict.fromkeys(_LABEL_MAP_NAME.findall(_text(path))))[:MOST_CLASSES]
