"""The recipe that travels with a release: all that is needed to build it again, as one deterministic tar."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from builder.digest import canonical_json
from builder.errors import IntegrityError
from builder.kernels import KERNELS, kernel_sources
from builder.lock.model import Lock
from builder.manifest.model import Manifest
from builder.plan.code import StepCode
from builder.plan.make import plan_document
from builder.plan.step import Plan
from builder.release.release import safe_title

LARGEST_RECIPE = 1 << 28
"""Bytes. The list of a dataset's files is most of it: a hundred bytes a file."""
MOST_FILES = 5_000

_TOOLCHAIN_FILES = ("Dockerfile", "overrides.in", "requirements.in", "requirements.lock", "toolchain.toml")


def recipe_files(
    manifest: Manifest, lock: Lock, plan: Plan, code: StepCode, docker: Path, listings: Mapping[str, bytes]
) -> dict[str, bytes]:
    """File name -> bytes. The manifest is in its canonical form, so comments and key order change nothing.

    ``listings``: the files of every locked source, from its digest, as ``lock.content`` lists them.
    """
    files = {
        "manifest.json": canonical_json(manifest.model_dump(mode="json")),
        "lock.json": canonical_json(lock.model_dump(mode="json")),
        "plan.json": canonical_json(plan_document(plan)),
    }
    for kind, locked in (("dataset", lock.dataset), ("init", lock.init)):
        if locked is not None:
            files[f"{kind}.json"] = listings[locked.digest]
    for name in {name for step in plan.steps for name in step.code}:
        files[f"steps/{name}"] = code[name]
    for toolchain in {step.toolchain.name for step in plan.steps}:
        for name in _TOOLCHAIN_FILES:
            files[f"toolchains/{toolchain}/{name}"] = (docker / toolchain / name).read_bytes()
        for name, data in kernel_sources(docker / toolchain).items():
            files[f"toolchains/{toolchain}/{KERNELS}/{name}"] = data
    return files


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar with the same bytes wherever and whenever it is made: sorted, owned by nobody, dated 1970."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def files_of_tar(data: bytes) -> dict[str, bytes]:
    """Name -> bytes of a tar from outside, in the one form that ``tar_of`` writes; IntegrityError for anything else."""
    if len(data) > LARGEST_RECIPE:
        raise unsound(f"larger than {LARGEST_RECIPE:,} bytes")
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                # tarfile follows a negative size backwards, for ever.
                if member.type != tarfile.REGTYPE or member.size < 0 or member.name in files:
                    raise unsound(f"{member.name[:100]!a} is no plain file")
                if len(files) >= MOST_FILES:
                    raise unsound(f"more than {MOST_FILES:,} files")
                source = archive.extractfile(member)
                assert source is not None, "a plain file has bytes"
                files[safe_title(member.name)] = source.read()
        if any(str(parent) in files for name in files for parent in PurePosixPath(name).parents):
            raise unsound("a file of it is also a folder")
        if tar_of(files) != data:
            raise unsound("it is not in the form in which recipes are written")
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        raise unsound(f"it is broken: {str(error)[:200]}") from error
    return files


def unsound(reason: str) -> IntegrityError:
    return IntegrityError(f"the recipe of the release is not sound: {reason}", code="recipe")
