"""A release with all that a rebuild needs where there is no network, as one tar."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from builder.compile.archive import Archive, new_archive
from builder.compile.assemble import checksums
from builder.compile.context import Subject, context_files
from builder.compile.dockerfile import data_folder, toolchains_of
from builder.compile.images import ready_images, saved
from builder.compile.readme import capsule_readme
from builder.compile.wheels import download
from builder.compile.write import SUMS, Source
from builder.digest import digest_bytes
from builder.engine.base import Emit
from builder.engine.inside import HOME, PATH
from builder.engine.request import THREAD_VARIABLES, fixed_environment
from builder.errors import IntegrityError, StoreUnreachable
from builder.plan.step import Plan, Step, Toolchain
from builder.rebuild.permission import shipped, vouched
from builder.rebuild.recipe import Recipe
from builder.rebuild.steps import steps_of
from builder.release.contents import STEPS
from builder.release.document import TITLE, VERSION, release_document
from builder.release.layout import Layout
from builder.release.release import Release

_LOCAL = Path(__file__).with_name("local.py")
_SLACK = 1 << 24


@dataclass(frozen=True)
class Parts:
    """What goes into a capsule: files by path, sources, files of packages by path, sizes of images by tag."""

    files: Mapping[str, bytes]
    sources: list[Source]
    wheels: Mapping[str, Path]
    images: Mapping[str, int]

    def bytes(self) -> int:
        """At most so many."""
        known = sum(map(len, self.files.values())) + sum(path.stat().st_size for path in self.wheels.values())
        data = sum(size for source in self.sources for _, _, size in source.files())
        return known + data + sum(self.images.values()) + _SLACK


def make_capsule(
    layout: Layout,
    release: Release,
    recipe: Recipe,
    opened: Callable[[str], Path],
    target: Path,
    *,
    client: docker.DockerClient | None,
    wheels: bool,
    trusted: bool,
    emit: Emit,
) -> None:
    """Writes the capsule of ``release`` to ``target``, with the images of ``client``'s engine if there is one.

    ``opened`` gives the folder of a source by its digest, checked. IntegrityError if
    this tinsmith could not lay the release out again, or would have to make a toolchain of the release's own and the
    user has not ``trusted`` it; StoreUnreachable if there is no room; NoEngine for missing parts.
    """
    used = toolchains_of(recipe.plan)
    if not (vouched(layout, release) or trusted):  # what the policy refuses, nobody can trust
        _check_known(release, used, images=client is not None, wheels=wheels)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.resolve().parent) as scratch:
        recipe.lay_out(Path(scratch) / "recipe")
        subject = subject_of(layout, release, recipe, Path(scratch) / "recipe" / "toolchains")
        files = {f"context/{name}": data for name, data in context_files(subject).items()}
        files.update(_releases(layout, release, Path(scratch) / "releases"))
        sources = [Source(opened(digest), listing) for digest, listing in recipe.listings.items()]
        found = _wheels(used, subject.docker, Path(scratch) / "wheels", emit) if wheels else {}
        images = ready_images(client, used, lambda name: subject.docker / name, emit) if client else {}
        local = [] if any(toolchain.image for toolchain in used) else [toolchain.name for toolchain in used]
        readme = capsule_readme(recipe.manifest, subject.plan, release.digest, list(images), local if found else [])
        files["README.txt"] = readme.encode()
        if found and local:
            files["local.py"] = _LOCAL.read_bytes()
            files["local.json"] = local_plan(subject.plan)
        parts = Parts(files, sources, found, images)
        _check_room(target, parts.bytes())
        with new_archive(target, f"{release.name}-{release.version}", emit) as archive:
            write(archive, parts)
            if client is not None:
                emit("message", {"text": "saving images"})
                archive.add_stream("images.tar", saved(client, list(images)))
            archive.close(SUMS)


def _check_known(release: Release, used: list[Toolchain], *, images: bool, wheels: bool) -> None:
    """A toolchain's Dockerfile runs with the network, the code of its source packages as this user."""
    for toolchain in used:
        needed = toolchain.image is None and (images or wheels)
        if needed and not shipped(toolchain, any_base=not images):
            raise IntegrityError(
                f"{release.ref} has a toolchain {toolchain.name} that this tinsmith does not have, and would make it",
                help="if you trust who made the release: --trust-recipe; or --no-images --no-wheels",
                code="untrusted-recipe",
            )


def subject_of(layout: Layout, release: Release, recipe: Recipe, docker: Path) -> Subject:
    """A release, to be compiled; ``docker`` has the recipe's toolchains.

    IntegrityError if this tinsmith would give its files another digest.
    """
    annotations = {key: value for key, value in release.annotations.items() if key not in (TITLE, VERSION)}
    document, _ = release_document(release.name, release.version, release.files, annotations)
    if digest_bytes(document) != release.digest:
        raise IntegrityError(
            f"{release.ref} was laid out by another tinsmith, in a form that this one does not write",
            help="use the tinsmith that made it",
            code="other-form",
        )
    recorded = steps_of(layout, release).get(recipe.plan.target)
    left = recorded.outputs if recorded is not None else {}
    static = {title: layout.read(release, title) for title in release.files if title not in left and title != STEPS}
    return Subject(recipe.manifest, recipe.lock, recipe.plan, recipe.code, docker, static, annotations, release.digest)


def write(archive: Archive, parts: Parts) -> None:
    """All but the images: what a person reads first, then the rest in the order of paths."""
    first = [name for name in ("README.txt", "local.py", "local.json") if name in parts.files]
    for name in [*first, *sorted(set(parts.files) - set(first))]:
        archive.add(name, parts.files[name])
    for source in parts.sources:
        for name, digest, _ in source.files():
            archive.add_file(f"context/{data_folder(source.digest)}/{name}", source.folder / name, digest)
    inside = {name.removeprefix("context/"): item for name, item in archive.digests.items() if name[:8] == "context/"}
    archive.add(f"context/{SUMS}", checksums(inside))
    for name, path in sorted(parts.wheels.items()):
        archive.add_file(name, path)


def local_plan(plan: Plan) -> bytes:
    """local.json: the steps in order, what they run in and what they are given. null stands for a scratch folder."""

    def described(step: Step) -> dict[str, Any]:
        inputs = {
            item.name: {"step": item.step} if item.source is None else {"data": data_folder(item.source)}
            for item in step.inputs
        }
        return {"name": step.name, "toolchain": step.toolchain.name, "code": list(step.code), "inputs": inputs}

    environment = fixed_environment(PATH, HOME)
    document = {
        "target": plan.target,
        "toolchains": {item.name: {"python": item.python} for item in toolchains_of(plan)},
        "environment": {name: None if value == HOME else value for name, value in environment.items()},
        "thread_variables": list(THREAD_VARIABLES),
        "steps": [described(step) for step in plan.needed()],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _releases(layout: Layout, release: Release, folder: Path) -> dict[str, bytes]:
    """The files of a layout that holds the release and what is attached to it, and nothing else."""
    alone = Layout(folder)
    files = {title: layout.read(release, title) for title in release.files}
    annotations = {key: value for key, value in release.annotations.items() if key not in (TITLE, VERSION)}
    made, _ = alone.add(release.name, release.version, files, annotations)
    for item in layout.attachments(release):
        alone.attach(made, item.artifact_type, item.title, layout.read_attachment(item))
    return {
        f"releases/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def _wheels(used: list[Toolchain], docker: Path, target: Path, emit: Emit) -> dict[str, Path]:
    found = {}
    for toolchain in used:
        if toolchain.image is None:
            for path in download(toolchain, docker / toolchain.name, target / toolchain.name, emit):
                found[f"wheels/{toolchain.name}/{path.name}"] = path
    return found


def _check_room(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.resolve().parent).free
    if needed > free:
        raise StoreUnreachable(
            f"the capsule may take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free in {target.resolve().parent}",
            help="make room, or leave parts out: --no-images, --no-wheels",
        )
