"""From a toolchain's folder to its digests. Needs no network: the folder itself pins all that it uses."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder.digest import digest_bytes, digest_json
from builder.errors import LockError, UsageError
from builder.kernels import kernel_sources, kernels_digest
from builder.lock.model import LockedToolchain
from builder.manifest.family import Family
from builder.resources import toolchain_folder

if TYPE_CHECKING:
    from builder.plan.step import Toolchain

LITERT = "litert"
SETTINGS, DOCKERFILE, REQUIREMENTS = FILES = ("toolchain.toml", "Dockerfile", "requirements.lock")
"""What decides a toolchain, beside the sources of its kernels."""

_PINNED = re.compile(r"(?:[a-z0-9][a-zA-Z0-9._/:-]*@)?sha256:[0-9a-f]{64}")


def toolchains_of(family: Family) -> dict[str, str | None]:
    """The names of all toolchains that a build of ``family`` runs in -> one's own image, if one is named."""
    found: dict[str, str | None] = {manifest.toolchain.name: manifest.toolchain.image for manifest in family.manifests}
    return {**found, LITERT: None}


def lock_toolchain(
    name: str, base_image: str | None = None, folder: Path | None = None, image: str | None = None
) -> LockedToolchain:
    """The toolchain called ``name`` as it lies in ``folder`` (the shipped one if None). See ``toolchain_of``."""
    folder = folder or toolchain_folder(name)
    try:
        files = {path: (folder / path).read_bytes() for path in FILES}
        kernels = kernel_sources(folder)
    except OSError as error:
        raise _unreadable(name, error) from error
    return toolchain_of(name, files, kernels, base_image, image)


def toolchain_of(
    name: str,
    files: Mapping[str, bytes],
    kernels: Mapping[str, bytes],
    base_image: str | None = None,
    image: str | None = None,
) -> LockedToolchain:
    """The toolchain of ``files`` (those of FILES) with the sources of its ``kernels``.

    ``base_image`` replaces the default one: a reference with a digest, or the sha256 id of a local image.
    ``image`` is one's own, run in place of what the files would build. UsageError if a base image has no digest,
    LockError if the files are no toolchain.
    """
    try:
        settings = tomllib.loads(files[SETTINGS].decode("utf-8"))
        base = base_image or str(settings["base_image"])
        if _PINNED.fullmatch(base) is None:
            raise UsageError(
                f"base image {base!r} of {name} is not pinned by a digest",
                help="give NAME@sha256:<64 hex digits>, or the sha256 id of a local image",
            )
        entries = LockedToolchain(
            python=str(settings["python"]),
            base_image=base,
            requirements=digest_bytes(files[REQUIREMENTS]),
            dockerfile=digest_bytes(files[DOCKERFILE]),
            kernels=kernels_digest(kernels),
            image=image,
            digest=digest_json(None),
        )
    except (KeyError, ValueError, RecursionError) as error:
        raise _unreadable(name, error) from error
    return entries.model_copy(update={"digest": digest_json(entries.identity(name))})


def _unreadable(name: str, error: Exception) -> LockError:
    return LockError(f"toolchain {name} cannot be read: {error}", help=f"it needs {', '.join(FILES)}")


def resolve_toolchain(name: str, base_image: str | None = None, folder: Path | None = None) -> Toolchain:
    """As ``lock_toolchain``, in the form that steps take."""

    locked = lock_toolchain(name, base_image, folder)
    return locked.toolchain(name)
