"""A release of the shipped shapes manifest as a build makes it, with a fake engine in place of the toolchains."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.build import build
from builder.digest import canonical_json
from builder.engine.base import Workspace
from builder.lock.file import load_lock
from builder.lock.model import Lock
from builder.manifest.load import loads
from builder.manifest.model import Manifest
from builder.plan.code import read_step_code
from builder.plan.make import make_plan
from builder.plan.step import Plan, Step
from builder.release.figures import Figures
from builder.release.layout import Layout
from builder.release.make import Signer, make_release
from builder.release.release import Release
from builder.resources import docker_folder, steps_folder
from builder.store.base import StepResult
from builder.store.disk import DiskStore
from tests.fakes import Events, FakeEngine, Work, default_work
from tests.golden.write import ROOT

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
MANIFEST = ROOT / "manifests" / "shapes.yaml"
TEXT = MANIFEST.read_text()
LOCK = load_lock(MANIFEST.with_suffix(".lock"))
CODE = read_step_code(steps_folder())


STAGE = {"map": 0.635, "map50": 0.984, "ar100": 0.713}
METRICS = {
    "stages": {"frozen": STAGE, "tflite_litert": STAGE},
    "constant_baseline": {**STAGE, "several_boxes": STAGE},
    "degenerate": {"constant_answer": False},
    "operating_point": {"score": 0.5, "precision": 0.9, "recall": 0.8},
    "quantization": {"type": "float32"},
    "images": 300,
    "size": 4,
}
LATENCY = {"latency_ms": {"median": 1.1}, "threads": 2, "cpu": "a fast one"}


def work(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
    """Two files of every step, and what steps leave that is read outside of them."""
    files = {**default_work(step, workspace), "params.json": canonical_json(dict(step.params))}
    if step.module in ("verify", "package"):
        files["metrics.json"] = canonical_json(METRICS)
    if step.module == "measure":
        files["latency.json"] = canonical_json(LATENCY)
    if step.module == "package":
        files |= {"model.tflite": b"TFL3", "metadata.json": b"{}"}
    return files


@dataclass(frozen=True)
class Small:
    """What one build made of ``manifest``; ``store`` has its ``results``."""

    manifest: Manifest
    lock: Lock
    plan: Plan
    code: Mapping[str, bytes]
    store: DiskStore
    results: Mapping[str, StepResult]
    layout: Layout
    release: Release


def release(
    root: Path, *, text: str = TEXT, code: Mapping[str, bytes] = CODE, work: Work = work, **locked: Any
) -> Small:
    """Builds and releases the manifest ``text`` in the folder ``root``; ``locked`` changes fields of the lock."""
    manifest = loads(text, "shapes.yaml").only
    lock = LOCK.model_copy(update={"manifest_digest": manifest.digest, **locked})
    plan = make_plan(manifest, lock, code)
    store, layout = DiskStore(root / "store"), Layout(root / "releases")
    results = build(plan, code=code, sources=no_source, store=store, engine=lambda: FakeEngine(work), emit=Events())
    built = make_release(
        manifest, lock, plan, code, docker_folder(), results, Figures(METRICS, LATENCY), no_source, store, layout,
        NOW, Signer(),
    )  # fmt: skip
    return Small(manifest, lock, plan, code, store, results, layout, built.release)


def no_source(digest: str) -> Path:
    raise AssertionError(f"the data {digest} was asked for")


def changed(name: str, to: Work, work: Work = work) -> Work:
    """``work``, but ``to`` for the step called ``name``."""
    return lambda step, workspace: (to if step.name == name else work)(step, workspace)
