"""Which class is taken for which: evaluation.json's confusion matrix as rows to show. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from builder.report.formats import Confusion

MOST_SHOWN = 24
"""Classes whose matrix is still read as a whole; of more, the most frequent confusions are listed."""
MOST_LISTED = 30
NOTHING, NOT_FOUND = "nothing annotated", "not found"


@dataclass(frozen=True)
class Cell:
    """``share`` of its row; ``right``: where annotation and answer agree; ``empty``: where nothing can be counted."""

    count: int
    share: float
    right: bool
    empty: bool


@dataclass(frozen=True)
class Row:
    name: str
    cells: tuple[Cell, ...]
    boxes: int


@dataclass(frozen=True)
class Matrix:
    """Rows are what is annotated, columns what the .tflite says. ``pairs`` (annotated, said, count): the most frequent
    confusions first, in place of ``rows`` where there are too many classes for these."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    pairs: tuple[tuple[str, str, int], ...]


def matrix(confusion: Confusion) -> Matrix:
    """``confusion`` in a form to show; its counts have to be square."""
    names = confusion.classes
    columns, rows = (*names, NOT_FOUND), (*names, NOTHING)
    if len(names) > MOST_SHOWN:
        return Matrix(columns, (), _pairs(confusion, rows, columns))
    last = len(names)
    made = []
    for number, (name, counts) in enumerate(zip(rows, confusion.counts, strict=True)):
        total = sum(counts)
        cells = tuple(
            Cell(count, count / total if total else 0.0, number == place < last, number == place == last)
            for place, count in enumerate(counts)
        )
        made.append(Row(name, cells, total))
    return Matrix(columns, tuple(made), ())


def _pairs(confusion: Confusion, rows: tuple[str, ...], columns: tuple[str, ...]) -> tuple[tuple[str, str, int], ...]:
    found = [
        (row, column, count)
        for number, (row, counts) in enumerate(zip(rows, confusion.counts, strict=True))
        for place, (column, count) in enumerate(zip(columns, counts, strict=True))
        if count and number != place
    ]
    return tuple(sorted(found, key=lambda pair: -pair[2])[:MOST_LISTED])
