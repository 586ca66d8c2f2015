"""Compiles what a manifest plans: opens its sources once, writes a context for each variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from builder.compile.context import Subject, context_files
from builder.compile.write import Source, check_free, write_context
from builder.digest import digest_bytes
from builder.engine.base import Emit
from builder.lock.model import Lock, LockedSource
from builder.lock.sources import source_opener
from builder.manifest.family import Family
from builder.plan.code import StepCode
from builder.plan.step import Plan
from builder.release.contents import static_files
from builder.release.make import said_of
from builder.release.recipe import recipe_files
from builder.resources import docker_folder


def compile_planned(
    family: Family,
    lock: Lock,
    plans: tuple[Plan, ...],
    code: StepCode,
    out: Path,
    *,
    manifest_path: Path,
    overrides: Mapping[str, Path],
    cache: Path,
    emit: Emit,
    weights: Callable[[LockedSource], Path],
) -> list[Path]:
    """Writes a context into ``out``, or of several variants into ``out``/NAME; the folders written, in order.

    UsageError if ``out`` holds anything else; errors otherwise as for ``source_opener`` and ``context_files``.
    """
    folders = [out] if len(plans) == 1 else [out / variant.manifest.name for variant in family.variants]
    check_free(out)
    listings: dict[str, bytes] = {}

    def keep(listing: bytes) -> None:
        listings[digest_bytes(listing)] = listing

    opened = source_opener(family.manifests[0], lock, manifest_path, overrides, cache, emit, weights, keep)
    places = {item.digest: opened(item.digest) for item in (lock.dataset, lock.init) if item is not None}
    sources = [Source(folder, listings[digest]) for digest, folder in places.items()]
    for folder, variant, plan in zip(folders, family.variants, plans, strict=True):
        recipe = recipe_files(variant.manifest, lock, plan, code, docker_folder(), listings)
        subject = Subject(
            variant.manifest,
            lock,
            plan,
            code,
            docker_folder(),
            static_files(lock, plan, recipe),
            said_of(variant.manifest, plan),
        )
        write_context(folder, context_files(subject), sources)
        emit("message", {"text": f"{variant.manifest.name}@{variant.manifest.version} compiled into {folder}"})
    return folders
