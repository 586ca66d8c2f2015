"""Runs a released model on pictures, in the same engine and toolchain as a build's steps."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builder.engine.base import Emit, Engine
from builder.errors import UsageError
from builder.onestep import outputs_of
from builder.release.layout import Layout
from builder.release.make import pull
from builder.release.release import Release


def detect_in(
    layout: Layout,
    release: Release,
    images: Sequence[Path],
    out: Path,
    threshold: float | None,
    engine: Engine,
    emit: Emit,
) -> list[dict[str, Any]]:
    """Writes each picture with its boxes, and ``detections.json``, into ``out``.

    Boxes count from ``threshold`` on, None for the score that the release advises.
    Returns one record a picture: its file name and its detections (label, score, box in pixels).
    """
    names = _distinct(images)
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as scratch:
        inputs = {name: Path(scratch) / name for name in ("release", "pictures")}
        for folder in inputs.values():
            folder.mkdir()
        pull(layout, release, inputs["release"])
        for image in images:
            shutil.copyfile(image, inputs["pictures"] / image.name)
        with outputs_of("detect", {"threshold": threshold}, inputs, engine, emit) as found:
            records: list[dict[str, Any]] = json.loads((found / "detections.json").read_bytes())
            out.mkdir(parents=True, exist_ok=True)
            for name in ["detections.json", *(record["picture"] for record in records)]:
                shutil.copyfile(found / name, out / name)
    assert len(records) == len(names)
    return records


def _distinct(images: Sequence[Path]) -> set[str]:
    """The pictures' file names. UsageError if one is not there or two are called the same."""
    names: set[str] = set()
    for image in images:
        if not image.is_file():
            raise UsageError(f"{image} is not a file")
        if image.name in names:
            raise UsageError(f"two pictures are called {image.name}", help="detect them one after the other")
        names.add(image.name)
    return names
