"""Where the bytes go: files of a release, and parts of its .tflite."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from builder.rebuild.tflite import parts_of
from builder.release.documents import MODEL
from builder.report.facts import Facts

LARGEST_MODEL = 64 << 20
MOST_ROWS = 16
MOST_FILES = 60
_BACKBONE = "FeatureExtractor/MobilenetV2/"


@dataclass(frozen=True)
class Weight:
    """``share`` of the heaviest row, for a bar."""

    what: str
    size: int
    share: float


def files(facts: Facts) -> tuple[list[Weight], int]:
    """The files of a release, largest first, and how many more there are."""
    found = sorted(
        ((title, size) for title, (_, size) in facts.subject.files.items()), key=lambda row: (-row[1], row[0])
    )
    return _weights(found[:MOST_FILES]), len(found) - len(found[:MOST_FILES])


def model_parts(facts: Facts) -> list[Weight]:
    """Layers, metadata and the rest of the .tflite, largest first; empty if it is not there or cannot be read."""
    if facts.subject.files.get(MODEL, ("", LARGEST_MODEL + 1))[1] > LARGEST_MODEL:
        return []
    data = facts.subject.read(MODEL)
    try:
        parts = parts_of(data)
    except ValueError:
        return []
    counted: Counter[str] = Counter()
    seen = set()
    for name, part in parts.items():
        if part.size and (part.start, part.size) not in seen:  # tensors may share a buffer
            seen.add((part.start, part.size))
            counted[_group(name)] += part.size
    rest = len(data) - sum(counted.values())
    if rest > 0:
        counted["structure: names, shapes, operators"] += rest
    rows = counted.most_common()
    if len(rows) > MOST_ROWS:
        others = rows[MOST_ROWS - 1 :]
        rows = [*rows[: MOST_ROWS - 1], (f"{len(others)} smaller parts", sum(size for _, size in others))]
    return _weights(rows)


def _group(name: str) -> str:
    """The layer that a part of a .tflite belongs to, as far as its name tells."""
    if not name.startswith("tensor "):
        if name.startswith("metadata"):
            return "TFLite metadata"
        return "associated files" if name.startswith("associated files") else "structure: names, shapes, operators"
    tensor = name.removeprefix("tensor ").rpartition(", buffer ")[0]
    if tensor.startswith(_BACKBONE):
        return tensor.removeprefix(_BACKBONE).partition("/")[0]
    return tensor.partition("/")[0]


def _weights(rows: list[tuple[str, int]]) -> list[Weight]:
    largest = max((size for _, size in rows), default=0)
    return [Weight(name, size, size / largest if largest else 0.0) for name, size in rows]
