"""From the results of a build to a release: collect the files, write the layout, attach run and provenance."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.digest import canonical_json, digest_bytes
from builder.errors import IntegrityError
from builder.lock.model import Lock
from builder.manifest.model import Manifest
from builder.plan.code import StepCode
from builder.plan.step import Plan
from builder.release import document
from builder.release.contents import STEPS, static_files
from builder.release.figures import Figures
from builder.release.layout import Layout
from builder.release.provenance import BUILDER, Invocation, provenance
from builder.release.recipe import recipe_files
from builder.release.release import Release
from builder.store.base import StepResult, Store

if TYPE_CHECKING:
    from builder.trust.keys import SigningKey

RUN_FILE = "run.json"
RUN_TYPE = "application/vnd.tinsmith.run.v1+json"
"""Facts of one run (latency, engine, seconds a step): attached to the release, not part of it."""


@dataclass(frozen=True)
class Signer:
    """Who vouches for a build: the ``key`` that its provenance is signed with, if any, and a URI."""

    key: SigningKey | None = None
    builder: str = BUILDER


FACTS = ("engine", "isolation", "seconds", "memory_mb", "resumed")
"""Of a step's run: what is published with a release. The store knows more, such as names of workers and hosts, which
are nobody's business elsewhere."""


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
    sources: Callable[[str], Path],
    store: Store,
    layout: Layout,
    started: datetime.datetime,
    signer: Signer,
) -> Built:
    """The release of a build that ``started`` then and whose ``figures`` were judged before.

    IntegrityError as for ``Layout.add``.
    """
    recipe = recipe_files(manifest, lock, plan, code, docker, _listings(lock, sources, store))
    files = files_of(lock, plan, recipe, results, store)
    release, new = layout.add(manifest.name, manifest.version, files, said_of(manifest, plan))
    run = run_facts(results, figures)
    if new:
        from builder.release.sign import attach_provenance  # a build with nothing to do needs no cryptography

        facts = canonical_json(run)
        layout.attach(release, RUN_TYPE, RUN_FILE, facts)
        invocation = Invocation(
            id=secrets.token_hex(16),
            started=started,
            finished=datetime.datetime.now(datetime.UTC),
            run=digest_bytes(facts),
            version=importlib.metadata.version("tinsmith"),
            builder=signer.builder,
        )
        statement = provenance(release, manifest, lock, plan, recipe, invocation)
        attach_provenance(layout, release, statement, signer.key)
    else:
        run = read_run(layout, release) or run
    return Built(release, new, figures.metrics, run)


def run_facts(results: Mapping[str, StepResult], figures: Figures) -> Mapping[str, Any]:
    """What run.json says: latency, and of every step its key and those of ``FACTS`` that are known."""
    steps = {
        name: {"key": result.key, **{fact: result.run[fact] for fact in FACTS if fact in result.run}}
        for name, result in results.items()
    }
    return {"latency": figures.latency, "steps": steps}


def files_of(
    lock: Lock, plan: Plan, recipe: Mapping[str, bytes], results: Mapping[str, StepResult], store: Store
) -> dict[str, bytes]:
    """All files of the release of a build, by title; ``recipe`` are the files of its recipe.tar.

    A rebuild makes them in the same way, so they depend on nothing else.
    """
    files = {item.path: store.read(item.digest) for item in results[plan.target].artifacts}
    files.update(static_files(lock, plan, recipe))
    files[STEPS] = document.steps_document(
        {
            step.name: (step.key, {item.path: item.digest for item in results[step.name].artifacts})
            for step in plan.needed()
        }
    )
    return files


def read_run(layout: Layout, release: Release) -> dict[str, Any] | None:
    """The facts of the run that made ``release``, None if they are not there. IntegrityError if they are no such."""
    for attachment in layout.attachments(release):
        if attachment.artifact_type == RUN_TYPE:
            return _run_of(layout.read_attachment(attachment), release)
    return None


def _run_of(data: bytes, release: Release) -> dict[str, Any]:
    try:
        run: dict[str, Any] = json.loads(data)
        latency = run["latency"]
        sound = float(latency["latency_ms"]["median"]) >= 0 and int(latency["threads"]) > 0
        if not (sound and str(latency["cpu"]).isprintable()):
            raise ValueError("odd figures")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise IntegrityError(f"the {RUN_FILE} of {release.ref} cannot be read: {str(error)[:200]}") from error
    return run


def pull(layout: Layout, release: Release, folder: Path) -> list[Path]:
    """Writes the files of ``release`` into ``folder``, each checked; a file of other bytes is replaced."""
    written = []
    for title in sorted(release.files):
        data = layout.read(release, title)
        path = folder / title
        if not _holds(path, data):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(path.name + ".part")
            partial.write_bytes(data)
            partial.rename(path)
        written.append(path)
    return written


def _holds(path: Path, data: bytes) -> bool:
    """Does a plain file at ``path`` have these bytes already?"""
    return path.is_file() and not path.is_symlink() and path.stat().st_size == len(data) and path.read_bytes() == data


def lay_out_training(results: Mapping[str, StepResult], store: Store, folder: Path) -> None:
    """Writes what training said of itself (metrics.jsonl, looks.png, tensorboard/ …) into ``folder``, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for artifact in results["train"].artifacts:
        if not artifact.path.startswith("model.ckpt"):
            store.copy_to(artifact.digest, folder / artifact.path)


def said_of(manifest: Manifest, plan: Plan) -> dict[str, str]:
    """What the OCI manifest of a release says of it, beside its name and version."""
    return {
        document.DESCRIPTION: manifest.release.description,
        document.LICENSES: manifest.release.license,
        document.AUTHORS: ", ".join(manifest.release.authors),
        document.ARCHITECTURE: manifest.model.architecture,
        document.QUANTIZATION: manifest.quantization.type,
        document.MANIFEST: manifest.digest,
        document.PLAN: plan.digest,
    }


def _listings(lock: Lock, sources: Callable[[str], Path], store: Store) -> dict[str, bytes]:
    """The files of every locked source, from its digest."""
    found = {}
    for locked in (lock.dataset, lock.init):
        if locked is not None:
            if not store.has(locked.digest):
                sources(locked.digest)  # which keeps its listing
            found[str(locked.digest)] = store.read(locked.digest)
    return found
