"""From the results of a build to a release: check the budgets, collect the files, write the layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.digest import canonical_json
from builder.lock.model import Lock
from builder.manifest.model import Manifest
from builder.plan.code import StepCode
from builder.plan.step import Plan
from builder.release.figures import Figures
from builder.release.layout import RUN_FILE, Layout, Release
from builder.release.recipe import recipe_files, tar_of
from builder.store.base import StepResult, Store


@dataclass(frozen=True)
class Built:
    """A release and the figures to show for it. ``new`` is False if it was there already."""

    release: Release
    new: bool
    metrics: Mapping[str, Any]
    run: Mapping[str, Any]


def make_release(
    manifest: Manifest,
    lock: Lock,
    plan: Plan,
    code: StepCode,
    docker: Path,
    results: Mapping[str, StepResult],
    figures: Figures,
    store: Store,
    layout: Layout,
) -> Built:
    """The release of a build whose ``figures`` were judged before; IntegrityError as for ``Layout.add``."""
    run = {
        "latency": figures.latency,
        "steps": {name: {"key": result.key, **result.run} for name, result in results.items()},
    }
    files = {item.path: store.read(item.digest) for item in results[plan.target].artifacts}
    files["recipe.tar"] = tar_of(recipe_files(manifest, lock, plan, code, docker))
    files[RUN_FILE] = canonical_json(run)
    release, new = layout.add(manifest.name, manifest.version, files, _annotations(manifest, plan))
    if not new:
        run = json.loads(layout.read(release, RUN_FILE))
    return Built(release, new, figures.metrics, run)


def pull(layout: Layout, release: Release, folder: Path) -> list[Path]:
    """Writes the files of ``release`` into ``folder``, each checked; a file of other bytes is replaced."""
    written = []
    for title in sorted(release.files):
        data = layout.read(release, title)
        path = folder / title
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        partial.write_bytes(data)
        partial.rename(path)
        written.append(path)
    return written


def lay_out_training(results: Mapping[str, StepResult], store: Store, folder: Path) -> None:
    """Writes what training said of itself (metrics.jsonl, looks.png, tensorboard/ …) into ``folder``, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for artifact in results["train"].artifacts:
        if not artifact.path.startswith("model.ckpt"):
            store.copy_to(artifact.digest, folder / artifact.path)


def _annotations(manifest: Manifest, plan: Plan) -> dict[str, str]:
    return {
        "org.opencontainers.image.description": manifest.release.description,
        "org.opencontainers.image.licenses": manifest.release.license,
        "org.opencontainers.image.authors": ", ".join(manifest.release.authors),
        "dev.tinsmith.manifest": manifest.digest,
        "dev.tinsmith.plan": plan.digest,
    }
