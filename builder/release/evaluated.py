"""What evaluation.json of a release says, held against its other documents. Pure; nothing in it is believed.

It can only be checked as far as the other documents say the same in other words: its precisions are averaged again, and
its counts added up. Pictures are matched by name; that their files are the right ones is ``metadata.json``'s to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

EVALUATION = "evaluation.json"

RELEASED = "tflite_litert"
"""The stage that it is about."""

NEAR = 1.5e-6
"""An AP and a mean of 101 precisions, both rounded to six digits, differ by no more."""


def disagreements(
    evaluation: Mapping[str, Any],
    metrics: Mapping[str, Any],
    images: Sequence[Mapping[str, Any]],
    golden: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    titles: Collection[str],
) -> Iterator[str]:
    """What evaluation.json says otherwise than the other documents, a text each: metrics.json, the ``images`` of the
    certificate, the ``golden`` pictures of expected.json, labels.txt, and the release, whose files are ``titles``.

    Whatever it lacks raises what reading it raises: KeyError, TypeError, ValueError, IndexError, AttributeError.
    """
    if evaluation["score"] != metrics["operating_point"]["score"]:
        yield "another score than metrics.json advises"
    if evaluation["confusion"]["classes"] != labels or set(evaluation["precision_recall"]) != set(labels):
        yield "other classes than labels.txt"
        return
    boxes = {name: row["boxes"] for name, row in metrics["stages"][RELEASED]["per_class"].items()}
    counts = evaluation["confusion"]["counts"]
    if len(counts) != len(labels) + 1 or any(len(row) != len(labels) + 1 for row in counts):
        yield "counts of another number of classes"
    elif [sum(row) for row in counts[:-1]] != [boxes.get(name, 0) for name in labels]:
        yield "other numbers of boxes than metrics.json"
    for name, curve in evaluation["precision_recall"].items():
        if name in boxes and not _near(curve, metrics["stages"][RELEASED]["per_class"][name]["ap50"]):
            yield f"precisions of {ascii(name)[1:-1][:50]} whose mean is not its AP in metrics.json"
    yield from _pictures(evaluation, images, golden, titles)


def _near(curve: Mapping[str, Any], ap50: float) -> bool:
    precisions = curve["precision"]
    return len(precisions) == 101 and abs(sum(precisions) / 101 - ap50) <= NEAR  # never true of a NaN


def _pictures(
    evaluation: Mapping[str, Any],
    images: Sequence[Mapping[str, Any]],
    golden: Sequence[Mapping[str, Any]],
    titles: Collection[str],
) -> Iterator[str]:
    pictures = evaluation["pictures"]
    if evaluation["shown"] != [row["id"] for row in golden]:
        yield "other first pictures than golden/expected.json"
    if {str(row) for row in [*evaluation["shown"], *(row["id"] for row in evaluation["worst"])]} != set(pictures):
        yield "other pictures than those that are shown and the worst"
    known = {(str(image["id"]), image["file_name"]) for image in images}
    if any((identity, picture["file_name"]) not in known for identity, picture in pictures.items()):
        yield "pictures that certificate.json does not name"
    if any(picture["picture"] not in titles for picture in pictures.values()):
        yield "pictures that the release does not have"
