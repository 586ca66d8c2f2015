"""The ``dataset`` section: where pictures come from, what is in them, which are held out."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, Tag, model_validator

from builder.manifest.fields import Name, Part, Problem, Seed, Share, case, check_line, refuse, tagged, unique

_GIT_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)+/?")


def _check_git(url: str) -> str:
    if not _GIT_URL.fullmatch(url) or "/../" in url or "/./" in url:
        problem = "must not hold a user or password" if re.match(r"https://[^/]*@", url) else "is not an https address"
        raise refuse(Problem("invalid-value", f"git {problem}", "https://host/path, with nothing after it"))
    return url


def _check_path(path: str) -> str:
    if path.startswith(("/", "~")) or "\\" in path or re.match(r"[A-Za-z]:", path):
        raise refuse(
            Problem(
                "invalid-value",
                "path must be relative to the manifest's folder, with forward slashes",
                "for a copy elsewhere on this machine: --source NAME=PATH",
            )
        )
    return check_line(path)


def _check_folder(path: str) -> str:
    if ".." in path.split("/"):
        raise refuse(Problem("invalid-value", "must be a folder within the source"))
    return _check_path(path)


Folder = Annotated[str, AfterValidator(_check_folder)]
Label = Annotated[str, StringConstraints(max_length=64), AfterValidator(check_line)]
Shape = Literal["circle", "square", "triangle"]


class Source(Part):
    """A named folder of data: a git commit or a folder beside the manifest. ``--source NAME=PATH`` overrides it."""

    name: Name
    git: Annotated[str, AfterValidator(_check_git)] | None = None
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    path: Annotated[str, AfterValidator(_check_path)] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Source:
        if self.git is None and self.path is None:
            raise refuse(Problem("missing-key", "source needs 'git' with 'commit', or 'path'"))
        if self.git is not None and self.path is not None:
            raise refuse(Problem("conflict", "source has both 'git' and 'path'", "keep one", ("path",)))
        if self.git is not None and self.commit is None:
            help = "the 40 hex digits of 'git rev-parse'; a branch or tag may move"
            raise refuse(Problem("missing-key", "source has 'git' but no 'commit'", help, ("git",)))
        if self.git is None and self.commit is not None:
            raise refuse(Problem("conflict", "'commit' belongs to 'git', not to 'path'", "remove it", ("commit",)))
        return self


class Split(Part):
    """Which pictures are held out: a seeded choice by the pictures' own hashes."""

    eval: Annotated[float, Field(gt=0, le=0.9)] = 0.2
    seed: Seed = 7


class VocDataset(Part):
    """Photographs with Pascal VOC annotations."""

    format: Literal["voc"]
    source: Source
    images: Folder = "images"
    annotations: Folder = "annotations"
    classes: Annotated[tuple[Label, ...], Field(min_length=1, max_length=1000), AfterValidator(unique("class"))]
    split: Split = Split()
    max_rejected: Share = 0.0


def _check_objects(value: tuple[int, ...]) -> tuple[int, ...]:
    if value[0] > value[1]:
        raise refuse(Problem("out-of-range", "objects is [least, most], the least first", "swap them", (0,), (1,)))
    return value


class Drawing(Part):
    """How many pictures to draw; ``size`` is [height, width] in pixels, ``objects`` [least, most] a picture."""

    images: Annotated[int, Field(ge=10, le=100_000)]
    size: Annotated[tuple[Annotated[int, Field(ge=32, le=1024)], ...], Field(min_length=2, max_length=2)]
    objects: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10)], ...],
        Field(min_length=2, max_length=2),
        AfterValidator(_check_objects),
    ] = (1, 3)
    seed: Seed = 7


class SyntheticDataset(Part):
    """Drawings of shapes on noise, made by a seeded step: needs no download."""

    format: Literal["synthetic"]
    synthetic: Drawing
    classes: Annotated[tuple[Shape, ...], Field(min_length=1), AfterValidator(unique("class"))]
    split: Split = Split()


Dataset = Annotated[
    Annotated[VocDataset, Tag(case("voc"))] | Annotated[SyntheticDataset, Tag(case("synthetic"))],
    tagged("format", {"voc": case("voc"), "synthetic": case("synthetic")}),
]
