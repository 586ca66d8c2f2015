"""What went into a release, as its recipe and lock name it: base images, packages, data, weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from builder.digest import hex_of, parse_digest
from builder.lock.model import Lock, LockedToolchain
from builder.manifest.datasource import Source
from builder.plan.step import Plan
from builder.release.packages import Package, pinned_packages

Recipe = Mapping[str, bytes]
"""File name -> bytes, as ``recipe_files`` gives it."""


@dataclass(frozen=True)
class Image:
    """A base image, or one's own that steps run in. ``name`` and ``tag`` are None for the id of a local image."""

    name: str | None
    tag: str | None
    sha256: str

    @property
    def purl(self) -> str | None:
        """Package URL of type ``oci``, whose version is the digest."""
        if self.name is None:
            return None
        last = self.name.rpartition("/")[2]
        tag = f"&tag={quote(self.tag, safe='')}" if self.tag else ""
        return f"pkg:oci/{last}@sha256%3A{self.sha256}?repository_url={quote(self.name, safe='')}{tag}"


@dataclass(frozen=True)
class ToolchainMaterials:
    """``own``: the image is one's own, so what else the toolchain's folder says was not used."""

    name: str
    image: Image
    packages: tuple[Package, ...]
    own: bool


def toolchain_materials(lock: Lock, plan: Plan, recipe: Recipe) -> tuple[ToolchainMaterials, ...]:
    """Of every toolchain that a step of ``plan`` runs in, by name. LockError if its requirements pin nothing."""
    found = []
    for name in sorted({step.toolchain.name for step in plan.steps}):
        locked = lock.toolchains[name]
        file = f"toolchains/{name}/requirements.lock"
        packages = () if locked.image else pinned_packages(recipe[file].decode(), file)
        found.append(ToolchainMaterials(name, _image(locked), packages, locked.image is not None))
    return tuple(found)


def origin_descriptor(source: Source) -> dict[str, object] | None:
    """Where ``source`` is fetched from, as an in-toto ResourceDescriptor; None for a folder."""
    if source.git is not None and source.commit is not None:
        return {"uri": f"git+{source.git}@{source.commit}", "digest": {"gitCommit": source.commit}}
    if source.url is not None and source.sha256 is not None:
        return {"uri": source.url, "digest": {"sha256": source.sha256}}
    if source.oci is not None:
        return {"uri": f"oci://{source.oci}", "digest": {"sha256": source.oci.rpartition("sha256:")[2]}}
    return None


def step_files(plan: Plan) -> tuple[str, ...]:
    """The recipe's names of all step code that ``plan`` runs, sorted."""
    return tuple(sorted({f"steps/{name}" for step in plan.steps for name in step.code}))


def _image(locked: LockedToolchain) -> Image:
    name, _, digest = (locked.image or locked.base_image).rpartition("@")
    sha256 = hex_of(parse_digest(digest))
    if not name:
        return Image(None, None, sha256)
    last = name.rpartition("/")[2]
    tag = last.partition(":")[2]
    return Image(name.removesuffix(f":{tag}") if tag else name, tag or None, sha256)
