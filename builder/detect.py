"""Runs a released model on pictures, in the same engine and toolchain as a build's steps."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builder.digest import digest_json
from builder.engine.base import Emit, Engine, Workspace
from builder.errors import UsageError
from builder.lock.toolchains import resolve_toolchain
from builder.plan.code import modules_of, read_step_code
from builder.plan.make import LITERT
from builder.plan.step import Step, StepInput
from builder.release.layout import Layout
from builder.release.make import pull
from builder.release.release import Release
from builder.resources import steps_folder


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
    code = read_step_code(steps_folder())
    step = Step(
        name="detect",
        module="detect",
        toolchain=resolve_toolchain(LITERT),
        params={"threshold": threshold},
        inputs=(StepInput("pictures"), StepInput("release")),
        code=modules_of("detect", code),
        key=digest_json({"detect": release.digest}),
    )
    engine.prepare(step.toolchain, emit)
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as scratch:
        root = Path(scratch)
        folders = {name: root / name for name in ("release", "pictures", "steps", "out")}
        for folder in folders.values():
            folder.mkdir()
        pull(layout, release, folders["release"])
        for image in images:
            shutil.copyfile(image, folders["pictures"] / image.name)
        for name in step.code:
            (folders["steps"] / name).write_bytes(code[name])
        inputs = {name: folders[name] for name in ("release", "pictures")}
        workspace = Workspace(inputs, folders["out"], folders["steps"], secrets.token_hex(16))
        engine.run(step, workspace, emit)
        records: list[dict[str, Any]] = json.loads((folders["out"] / "detections.json").read_bytes())
        out.mkdir(parents=True, exist_ok=True)
        for name in ["detections.json", *(record["picture"] for record in records)]:
            shutil.copyfile(folders["out"] / name, out / name)
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
