"""Releases with everything but a training behind them: real manifests, locks, plans and recipes, made-up outputs."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder.cli.load import Planned, load_planned
from builder.digest import canonical_json, digest_bytes
from builder.plan.make import make_plan, plan_document
from builder.release.contents import static_files
from builder.release.layout import Layout
from builder.release.make import said_of
from builder.release.provenance import Invocation, provenance
from builder.release.recipe import recipe_files
from builder.release.release import Release
from builder.resources import docker_folder

ROOT = Path(__file__).resolve().parents[2]
INVOCATION = Invocation(
    id="urn:uuid:00000000-0000-4000-8000-000000000000",
    started=datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC),
    finished=datetime.datetime(2026, 11, 24, 12, 30, tzinfo=datetime.UTC),
    run=digest_bytes(b"run.json"),
    version="0.1.0",
)


@cache
def planned(name: str) -> Planned:
    (found,) = load_planned([ROOT / "manifests" / f"{name}.yaml"])
    return found


def recipe_of(found: Planned) -> dict[str, bytes]:
    lock = found.lock
    listings = {str(item.digest): b"[]" for item in (lock.dataset, lock.init) if item is not None}
    return recipe_files(found.family.manifests[0], lock, found.plans[0], found.code, docker_folder(), listings)


@dataclass(frozen=True)
class Made:
    layout: Layout
    release: Release
    statement: dict[str, object]


def made(name: str, folder: Path, version: str | None = None) -> Made:
    """A release of ``manifests/NAME.yaml`` in a layout, and its provenance, attached to nothing."""
    found = planned(name)
    manifest, lock = found.family.manifests[0], found.lock
    if version is not None:
        manifest = manifest.model_copy(update={"version": version})
    plan = make_plan(manifest, lock, found.code)
    own = {"manifest.json": manifest.model_dump(mode="json"), "plan.json": plan_document(plan)}
    recipe = {**recipe_of(found), **{name: canonical_json(document) for name, document in own.items()}}
    files = {"model.tflite": b"TFL3", **static_files(lock, plan, recipe)}
    layout = Layout(folder)
    release, _ = layout.add(manifest.name, manifest.version, files, said_of(manifest, plan))
    return Made(layout, release, provenance(release, manifest, lock, plan, recipe, INVOCATION))
