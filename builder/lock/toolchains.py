"""From a toolchain's folder to its digests. Needs no network: the folder itself pins all that it uses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from builder.digest import digest_file, digest_json
from builder.errors import LockError, UsageError
from builder.lock.model import LockedToolchain
from builder.manifest.model import Manifest
from builder.resources import toolchain_folder

if TYPE_CHECKING:
    from builder.plan.step import Toolchain

LITERT = "litert"

_PINNED = re.compile(r"(?:[a-z0-9][a-zA-Z0-9._/:-]*@)?sha256:[0-9a-f]{64}")


def toolchains_of(manifest: Manifest) -> tuple[str, ...]:
    """The names of all toolchains that a build of ``manifest`` runs in."""
    return (manifest.toolchain, LITERT)


def lock_toolchain(name: str, base_image: str | None = None, folder: Path | None = None) -> LockedToolchain:
    """The toolchain called ``name`` as it lies in ``folder`` (the shipped one if None).

    ``base_image`` replaces the default one: a reference with a digest, or the sha256 id of a local image.
    UsageError if it has none, LockError if the folder is not a toolchain.
    """
    folder = folder or toolchain_folder(name)
    try:
        settings = tomllib.loads((folder / "toolchain.toml").read_text(encoding="utf-8"))
        image = base_image or str(settings["base_image"])
        if _PINNED.fullmatch(image) is None:
            raise UsageError(
                f"base image {image!r} of {name} is not pinned by a digest",
                help="give NAME@sha256:<64 hex digits>, or the sha256 id of a local image",
            )
        entries = LockedToolchain(
            python=str(settings["python"]),
            base_image=image,
            requirements=digest_file(folder / "requirements.lock"),
            dockerfile=digest_file(folder / "Dockerfile"),
            digest=digest_json(None),
        )
    except (OSError, KeyError, ValueError) as error:
        raise LockError(
            f"toolchain {name} cannot be read from {folder}: {error}",
            help="it needs toolchain.toml, Dockerfile and requirements.lock",
        ) from error
    return entries.model_copy(update={"digest": digest_json(entries.identity(name))})


def resolve_toolchain(name: str, base_image: str | None = None, folder: Path | None = None) -> Toolchain:
    """As ``lock_toolchain``, in the form that steps take."""
    from builder.plan.step import Toolchain

    locked = lock_toolchain(name, base_image, folder)
    return Toolchain(name, locked.python, locked.base_image, locked.requirements, locked.dockerfile, locked.digest)
