"""Evaluation pictures with what is annotated and what was found: data URIs, and boxes to be drawn over them as SVG."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.report import words
from builder.report.facts import Facts
from builder.report.formats import Annotated_, Detection, Picture
from builder.report.page import data_uri

WIDE = 400.0
"""Units across a drawing; its height follows from the picture's."""
LARGEST_PNG = 4 << 20
MOST_BYTES = 24 << 20
"""Of all pictures of a page."""
LARGEST_SIDE = 4096
SAME = 0.01
"""Boxes (shares of the picture) and scores that differ by less are told as the same."""
LONGEST_LABEL = 24
COLOURS = 6

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"


@dataclass(frozen=True)
class Rectangle:
    """In units of the drawing; ``text`` stands at (x, ``text_y``); ``colour`` is a number of the page's series."""

    x: float
    y: float
    width: float
    height: float
    text: str
    text_y: float
    colour: int


@dataclass(frozen=True)
class Drawing:
    """One answer to a picture. ``told`` says it in words."""

    heading: str
    rectangles: tuple[Rectangle, ...]
    told: str


@dataclass(frozen=True)
class Shown:
    """A picture with the answers side by side; ``uri`` is None if it cannot be shown, else ``own`` is its id's ending.

    ``annotated`` are dashed boxes. ``caption`` are sentences.
    """

    own: str
    file_name: str
    uri: str | None
    height: float
    annotated: tuple[Rectangle, ...]
    answers: tuple[Drawing, ...]
    caption: tuple[str, ...]


class Gallery:
    """The pictures of one page: each file is in it once, and all of them together are bounded."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.left = MOST_BYTES
        self.used: set[int] = set()

    def shown(self) -> list[Shown]:
        """The first evaluation pictures."""
        evaluation = self.facts.evaluation
        return [self._of(number, ()) for number in evaluation.shown] if evaluation is not None else []

    def worst(self) -> list[Shown]:
        """The pictures in which most is wrong."""
        evaluation = self.facts.evaluation
        found = []
        for one in evaluation.worst if evaluation is not None else ():
            counted = ((one.missed, "missed"), (one.wrong, "of a wrong class"), (one.extra, "where nothing is"))
            told = words.listed([f"{number} {what}" for number, what in counted if number])
            found.append(self._of(one.id, (f"{told[0].upper()}{told[1:]}.",)))
        return found

    def _of(self, number: int, before: tuple[str, ...]) -> Shown:
        assert self.facts.evaluation is not None, "who shows a picture has read evaluation.json"
        picture = self.facts.evaluation.pictures[str(number)]
        again = number in self.used
        self.used.add(number)
        height = WIDE * picture.height / picture.width
        frozen, tflite = (self._drawing(word, found, height) for word, found in _answers(picture))
        same = alike(picture.frozen, picture.tflite_litert)
        said = (
            f"Annotated: {_counted([self.facts.label(one.class_) for one in picture.annotated])}.",
            f"Trained graph: {frozen.told}.",
            ".tflite: the same." if same else f".tflite: {tflite.told}.",
        )
        return Shown(
            own=f"{number}{'-again' if again else ''}",
            file_name=picture.file_name,
            uri=self._uri(picture.picture),
            height=height,
            annotated=tuple(self._rectangle(one, "", height) for one in picture.annotated),
            answers=(frozen, tflite),
            caption=(*before, *said),
        )

    def _uri(self, title: str) -> str | None:
        """The file ``title`` of the release as a URI, if it is a PNG of a size that can be shown."""
        files = self.facts.subject.files
        if title not in files or files[title][1] > min(LARGEST_PNG, self.left):
            return None
        data = self.facts.subject.read(title)
        if not is_png(data):
            return None
        self.left -= len(data)
        return data_uri(data, "image/png")

    def _drawing(self, heading: str, found: Sequence[Detection], height: float) -> Drawing:
        rectangles = tuple(
            self._rectangle(one, f"{_short(self.facts.label(one.class_))} {one.score:.2f}", height) for one in found
        )
        told = words.listed([f"{self.facts.label(one.class_)} {one.score:.2f}" for one in found])
        return Drawing(heading, rectangles, told)

    def _rectangle(self, one: Annotated_, text: str, height: float) -> Rectangle:
        top, left, bottom, right = (min(1.0, max(0.0, side)) for side in one.box)
        x, y = left * WIDE, top * height
        above = y >= 30  # there is room for a label, also in the larger letters of small screens
        return Rectangle(
            x=round(x, 1),
            y=round(y, 1),
            width=round(max(0.0, right - left) * WIDE, 1),
            height=round(max(0.0, bottom - top) * height, 1),
            text=text,
            text_y=round(y - 5 if above else y + 24, 1),
            colour=max(0, one.class_) % COLOURS + 1,
        )


def is_png(data: bytes) -> bool:
    """Does ``data`` begin as a PNG of at most LARGEST_SIDE pixels a side? More would be a burden to a browser."""
    if len(data) < len(_PNG) + 8 or not data.startswith(_PNG):
        return False
    width, height = struct.unpack_from(">II", data, len(_PNG))
    return all(0 < side <= LARGEST_SIDE for side in (width, height))


def alike(one: Sequence[Detection], other: Sequence[Detection]) -> bool:
    """Are two answers the same but for SAME? Their order, best score first, may differ where scores are that near."""
    left = list(other)
    for found in one:
        for place, candidate in enumerate(left):
            pairs = zip((found.score, *found.box), (candidate.score, *candidate.box), strict=True)
            if candidate.class_ == found.class_ and all(abs(a - b) < SAME for a, b in pairs):
                del left[place]
                break
        else:
            return False
    return not left


def _answers(picture: Picture) -> Iterator[tuple[str, list[Detection]]]:
    yield "trained graph", picture.frozen
    yield ".tflite", picture.tflite_litert


def _counted(names: list[str]) -> str:
    """``2 circles`` would need grammar: ``circle, circle`` is told as ``circle (2)``."""
    return words.listed([name if number == 1 else f"{name} ({number})" for name, number in Counter(names).items()])


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
