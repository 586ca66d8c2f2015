"""The ``split`` of a dataset: which pictures are trained on and which are held out."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Discriminator, Field, StringConstraints, Tag

from builder.manifest.datasource import Inside, check_inside
from builder.manifest.fields import Part, Problem, Seed, case, refuse

PLACEHOLDER = "<split>"
"""Stands in ``images``, ``annotations`` and ``records`` for the words of a ``ByFolder``."""


class Drawn(Part):
    """A seeded choice by the pictures' own hashes: adding a picture or renaming one does not reshuffle the rest."""

    eval: Annotated[float, Field(gt=0, le=0.9, description="Share of the pictures that is held out.")] = 0.2
    seed: Annotated[Seed, Field(description="Another seed holds out other pictures.")] = 7


class ByList(Part):
    """Two list files within the source, a picture a line: its path, its file name or its stem."""

    train_list: Annotated[Inside, Field(description="List file of the pictures to train on.")]
    eval_list: Annotated[Inside, Field(description="List file of the pictures that are held out.")]


def _check_word(word: str) -> str:
    if PLACEHOLDER in word:
        raise refuse(Problem("invalid-value", f"the word that {PLACEHOLDER} stands for cannot hold it"))
    return check_inside(word)


Word = Annotated[str, StringConstraints(max_length=100), AfterValidator(_check_word)]


class ByFolder(Part):
    """The data's own folders or files: the words that ``<split>`` stands for in the dataset's paths."""

    train: Annotated[Word, Field(description="What <split> stands for in training, such as train2017.")]
    eval: Annotated[Word, Field(description="What <split> stands for in evaluation, such as val2017.")]


def _choose(value: Any) -> str:
    """By the keys: a split has no key that names its kind."""
    if isinstance(value, BaseModel):
        return {"Drawn": case("share"), "ByList": case("list"), "ByFolder": case("folder")}[type(value).__name__]
    keys = [str(key) for key in value] if isinstance(value, dict) else []
    if any(difflib.get_close_matches(key, ("train_list", "eval_list"), n=1, cutoff=0.8) for key in keys):
        return case("list")
    if "train" in keys:
        return case("folder")
    return case("share")


Split = Annotated[
    Annotated[Drawn, Tag(case("share"))]
    | Annotated[ByList, Tag(case("list"))]
    | Annotated[ByFolder, Tag(case("folder"))],
    Discriminator(_choose),
]
