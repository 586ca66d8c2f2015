"""A release's recipe.tar, read into what it describes. It comes from outside: nothing of it is believed unchecked.

What it says is held against itself (keys, digests) and against the release that it came with. Files of it reach the
disk only by ``Recipe.lay_out``, under names that were found safe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.digest import Digest, digest_bytes
from builder.errors import IntegrityError, TinsmithError
from builder.kernels import KERNELS
from builder.lock.listing import parse_listing
from builder.lock.model import Lock
from builder.lock.toolchains import FILES, LITERT, toolchain_of
from builder.manifest.model import Manifest
from builder.plan.parse import parse_plan
from builder.plan.step import Plan
from builder.release.contents import RECIPE
from builder.release.document import MANIFEST, PLAN
from builder.release.layout import Layout
from builder.release.recipe import LARGEST_RECIPE, files_of_tar, unsound
from builder.release.release import Release

_TOOLCHAIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True)
class Recipe:
    """``files`` are all of recipe.tar, by name. ``plan`` is the one that was run, not what would be planned today.

    ``code``: step code by file name. ``listings``: the files of each locked source, by the source's digest, as
    ``lock.content`` lists them. ``manifest_digest`` is that of the manifest as it was written.
    """

    files: Mapping[str, bytes]
    manifest: Manifest
    manifest_digest: Digest
    lock: Lock
    plan: Plan
    code: Mapping[str, bytes]
    listings: Mapping[str, bytes]

    @property
    def toolchains(self) -> dict[str, dict[str, bytes]]:
        """The files of every toolchain: its name -> path in its folder -> bytes."""
        return _toolchains(self.files)

    def lay_out(self, folder: Path) -> None:
        """Writes all files into ``folder``."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def recipe_of(layout: Layout, release: Release) -> Recipe:
    """The recipe of ``release``. IntegrityError if it has none, it is not sound, or it is that of another release."""
    if RECIPE not in release.files:
        raise IntegrityError(f"{release.ref} has no {RECIPE}", help="it was made by an older tinsmith, or by hand")
    if release.files[RECIPE][1] > LARGEST_RECIPE:
        raise IntegrityError(f"the {RECIPE} of {release.ref} is larger than {LARGEST_RECIPE:,} bytes")
    recipe = read_recipe(layout.read(release, RECIPE))
    said = {"name": release.name, "version": release.version}
    found = {"name": recipe.plan.name, "version": recipe.plan.version}
    for annotation, digest in ((MANIFEST, recipe.manifest_digest), (PLAN, recipe.plan.digest)):
        said[annotation], found[annotation] = release.annotations.get(annotation, "none"), digest
    for what, value in said.items():
        if found[what] != value:
            raise unsound(f"it is of {what} {found[what]}, the release says {value}")
    return recipe


def read_recipe(data: bytes) -> Recipe:
    """The recipe in ``data``, the bytes of a recipe.tar. IntegrityError if they are no sound recipe."""
    files = files_of_tar(data)
    try:
        manifest = Manifest.model_validate_json(files["manifest.json"])
        lock = Lock.model_validate_json(files["lock.json"])
        code = {name.removeprefix("steps/"): text for name, text in files.items() if name.startswith("steps/")}
        _check_globs(manifest, lock)
        plan = parse_plan(json.loads(files["plan.json"]), lock, code)
        if (plan.name, plan.version) != (manifest.name, manifest.version):
            raise ValueError("manifest and plan are of different models")
        _check_toolchains(manifest, lock, plan, _toolchains(files))
        listings = _listings(lock, files)
        sources = {item.source for step in plan.steps for item in step.inputs if item.source is not None}
        if sources - set(listings):
            raise ValueError("a step reads a source that is not locked")
    except KeyError as error:
        raise unsound(f"it lacks {error.args[0]!a:.100}") from error
    except (ValueError, RecursionError) as error:
        raise unsound(str(error)[:500]) from error
    except TinsmithError as error:
        raise unsound(error.message) from error
    return Recipe(
        files=files,
        manifest=manifest,
        manifest_digest=digest_bytes(files["manifest.json"]),
        lock=lock,
        plan=plan,
        code=code,
        listings=listings,
    )


def _check_toolchains(
    manifest: Manifest, lock: Lock, plan: Plan, toolchains: Mapping[str, Mapping[str, bytes]]
) -> None:
    """ValueError or LockError if a toolchain that is used is not of the files that came, or has an image of its own.

    Other variants of the family may have toolchains of theirs in the same lock.
    """
    for name in {step.toolchain.name for step in plan.steps}:
        locked = lock.toolchains[name]
        if name not in (manifest.toolchain.name, LITERT):
            raise ValueError(f"a step runs in {name!a:.80}, which the manifest does not name")
        if not _TOOLCHAIN.fullmatch(name):
            raise ValueError(f"a toolchain is called {name!a:.80}")
        files = toolchains.get(name, {})
        inside = f"{KERNELS}/"
        kernels = {path.removeprefix(inside): data for path, data in files.items() if path.startswith(inside)}
        needed = {path: files[path] for path in FILES if path in files}
        if locked.image != (manifest.toolchain.image if name == manifest.toolchain.name else None):
            raise ValueError(f"the lock has an image for toolchain {name} that the manifest does not name")
        if toolchain_of(name, needed, kernels, locked.base_image, locked.image) != locked:
            raise ValueError(f"the files of toolchain {name} are not those that were locked")


def _check_globs(manifest: Manifest, lock: Lock) -> None:
    """ValueError if the lock chooses other files than the manifest, whose globs were checked, or leaves the source."""
    named = {source.name: (source.include, source.exclude) for source in manifest.sources}
    for locked in (lock.dataset, lock.init):
        if locked is not None and (locked.include, locked.exclude) != named.get(locked.name, ((), ())):
            raise ValueError(f"the lock chooses other files of {locked.name!a:.80} than the manifest")
        for path in locked.paths if locked is not None else ():
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise ValueError(f"the lock has files out of their folder: {path!a:.100}")


def _toolchains(files: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for name, data in files.items():
        top, _, rest = name.partition("/")
        toolchain, _, path = rest.partition("/")
        if top == "toolchains" and path:
            found.setdefault(toolchain, {})[path] = data
    return found


def _listings(lock: Lock, files: Mapping[str, bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for kind, locked in (("dataset.json", lock.dataset), ("init.json", lock.init)):
        if locked is not None:
            if digest_bytes(files[kind]) != locked.digest:
                raise ValueError(f"{kind} is not the list of files that was locked")
            parse_listing(files[kind])
            found[locked.digest] = files[kind]
    return found
