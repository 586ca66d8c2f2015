"""Projects of a few small variants, and what one machine makes of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.conftest import BUILD, TINY, bases, runner

MANIFEST = "manifests/matrix.yaml"
DETECTIONS = {"model.max_detections": "[10, 12]"}
SEEDS = {"train.seed": "[1, 2]"}
DEPTHS = {"model.depth_multiplier": "[0.25, 0.3]"}
AXES = {2: DETECTIONS, 4: {**DETECTIONS, **SEEDS}, 8: {**DETECTIONS, **SEEDS, **DEPTHS}}
"""Number of variants -> axes of the matrix. Where two differ in the first alone, their training is the same."""


def manifest(variants: int, steps: int = 12) -> str:
    """The tiny manifest with so many variants, whose trainings have ``steps``, with a checkpoint every third."""
    text = _replaced(TINY, "name: tiny", "name: matrix")
    text = _replaced(text, "steps: 12", f"steps: {steps}")
    for path in AXES[variants]:
        text = _without(text, *path.split("."))
    return text + "matrix:\n" + "".join(f"  {path}: {values}\n" for path, values in AXES[variants].items())


def project(folder: Path, variants: int, steps: int = 12) -> Path:
    """A folder with the manifest, locked."""
    (folder / "manifests").mkdir(parents=True)
    (folder / MANIFEST).write_text(manifest(variants, steps))
    runner(folder)("lock", MANIFEST, *bases())
    return folder


def copied(project: Path, folder: Path) -> Path:
    """The same, with nothing built."""
    shutil.copytree(project / "manifests", folder / "manifests")
    return folder


def built_on_one_machine(project: Path, store: Path | None = None) -> dict[str, str]:
    """Builds it with the local engine; release -> digest."""
    words = ("--store", str(store)) if store else ()
    return releases(json.loads(runner(project)("build", MANIFEST, *BUILD, *words).stdout))


def releases(document: Any) -> dict[str, str]:
    """Release -> digest, of what ``build --json`` or ``list --json`` prints."""
    return {item["release"]: item["digest"] for item in document}


def step_keys(project: Path) -> Mapping[str, str]:
    """Key -> name of every step of all variants."""
    planned = json.loads(runner(project)("plan", MANIFEST, "--json").stdout)
    found = {}
    for plan in planned if isinstance(planned, list) else [planned]:
        found.update({item["key"]: item["name"] for item in plan["steps"]})
    return found


def _replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def _without(text: str, section: str, key: str) -> str:
    """The manifest without ``key`` of ``section``."""
    head, rest = text.split(f"{section}:\n", 1)
    lines = rest.splitlines(keepends=True)
    (line,) = [line for line in lines if line.startswith(f"  {key}: ")][:1]
    lines.remove(line)
    return f"{head}{section}:\n{''.join(lines)}"
