"""Where a release came from: an in-toto statement with a SLSA provenance. A pure function of a build's pieces.

Sources: in-toto Attestation Framework (Statement v1, ResourceDescriptor v1), SLSA 1.0 (provenance v1).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from builder.digest import Digest, digest_bytes, hex_of
from builder.lock.model import Lock, LockedSource
from builder.manifest.dataset import SyntheticDataset
from builder.manifest.datasource import Source
from builder.manifest.model import Manifest
from builder.plan.step import Plan
from builder.release.materials import Recipe, ToolchainMaterials, origin_descriptor, step_files, toolchain_materials
from builder.release.release import Release
from builder.trust.statement import PROVENANCE, STATEMENT

BUILD_TYPE = "https://tinsmith.dev/build/v1"
"""The meaning of the parameters below; docs/trust.md has them."""

BUILDER = "https://tinsmith.dev/builder/v1"
"""Any machine that runs tinsmith. A build service that vouches for more names itself: ``[sign] builder``."""


@dataclass(frozen=True)
class Invocation:
    """Facts of the run: its ``id``, when it started and ended, the digest of its run.json, and who built.

    ``builder`` is a URI, ``version`` that of tinsmith.
    """

    id: str
    started: datetime.datetime
    finished: datetime.datetime
    run: Digest
    version: str
    builder: str = BUILDER


def provenance(
    release: Release, manifest: Manifest, lock: Lock, plan: Plan, recipe: Recipe, invocation: Invocation
) -> dict[str, Any]:
    """The statement about ``release``. The same arguments give the same. Errors as for ``toolchain_materials``."""
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": release.ref, "digest": _sha256(release.digest)},
            *({"name": title, "digest": _sha256(item[0])} for title, item in sorted(release.files.items())),
        ],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "manifest": manifest.model_dump(mode="json"),
                    "manifestDigest": manifest.digest,
                },
                "internalParameters": {
                    "plan": plan.digest,
                    "steps": {step.name: step.key for step in plan.steps},
                    "threads": {step.name: step.threads for step in plan.steps if step.threads is not None},
                    "cpuClass": manifest.train.cpu_class,
                },
                "resolvedDependencies": list(_dependencies(manifest, lock, plan, recipe)),
            },
            "runDetails": {
                "builder": {"id": invocation.builder, "version": {"tinsmith": invocation.version}},
                "metadata": {
                    "invocationId": invocation.id,
                    "startedOn": _time(invocation.started),
                    "finishedOn": _time(invocation.finished),
                },
                "byproducts": [{"name": "run.json", "digest": _sha256(invocation.run)}],
            },
        },
    }


def _dependencies(manifest: Manifest, lock: Lock, plan: Plan, recipe: Recipe) -> Iterator[Mapping[str, Any]]:
    for toolchain in toolchain_materials(lock, plan, recipe):
        yield from _of_toolchain(toolchain, recipe)
    source = None if isinstance(manifest.dataset, SyntheticDataset) else manifest.dataset.source
    init = manifest.train.init
    yield from _of_source("dataset", lock.dataset, source)
    yield from _of_source("init", lock.init, init.checkpoint if init is not None else None)
    for name in step_files(plan):
        yield _file(name, recipe[name])


def _of_toolchain(toolchain: ToolchainMaterials, recipe: Recipe) -> Iterator[Mapping[str, Any]]:
    image = toolchain.image
    named = {"uri": image.purl} if image.purl else {}
    yield {"name": f"toolchains/{toolchain.name}/image", **named, "digest": {"sha256": image.sha256}}
    if toolchain.own:
        return
    folder = f"toolchains/{toolchain.name}/"
    for name in sorted(recipe):
        if name.startswith(folder):
            yield _file(name, recipe[name])
    for package in toolchain.packages:
        entry: dict[str, Any] = {"name": f"{toolchain.name}/{package.name}", "uri": package.purl}
        if len(package.hashes) == 1:
            yield {**entry, "digest": {"sha256": package.hashes[0]}}
        else:
            # A digest set is of one file; which of these was installed depends on the platform.
            yield {**entry, "annotations": {"version": package.version, "sha256OneOf": list(package.hashes)}}


def _of_source(kind: str, locked: LockedSource | None, source: Source | None) -> Iterator[Mapping[str, Any]]:
    """Where files come from, and what they are: the digest of their list, which is in the recipe."""
    if locked is None:
        return
    origin = origin_descriptor(source) if source is not None else None
    if origin is not None:
        yield {"name": f"{kind}/{locked.name}", **origin}
    elif locked.origin is not None and locked.origin.startswith("release:sha256:"):
        yield {"name": f"{kind}/{locked.name}", "digest": {"sha256": locked.origin.rpartition(":")[2]}}
    yield {"name": f"{kind}.json", "digest": _sha256(locked.digest)}


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "digest": _sha256(digest_bytes(data))}


def _sha256(digest: Digest) -> dict[str, str]:
    return {"sha256": hex_of(digest)}


def _time(when: datetime.datetime) -> str:
    return when.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
