"""sbom.json: what a release was built with, as a CycloneDX bill of materials.

The same for the same plan: no time, and a serial number made from the content. tinsmith stands in it without a version:
a release does not change because a later tinsmith builds it again; which one did is in the provenance.

Source: CycloneDX 1.6 (JSON schema), Package URL specification.
"""

from __future__ import annotations

import uuid
from typing import Any

from builder.digest import canonical_json, digest_bytes, hex_of
from builder.lock.model import Lock
from builder.plan.step import Plan
from builder.release.materials import Image, Recipe, ToolchainMaterials, step_files, toolchain_materials
from builder.release.packages import Package

SBOM = "sbom.json"
_NAMESPACE = uuid.UUID("6f8a1c52-2a0e-5b0f-9a63-0f2b6f7d9c11")


def sbom(lock: Lock, plan: Plan, recipe: Recipe) -> bytes:
    """The bill of materials of what ``plan`` builds. Errors as for ``toolchain_materials``."""
    toolchains = toolchain_materials(lock, plan, recipe)
    steps = [_file(name, recipe[name]) for name in step_files(plan)]
    parts = [part for toolchain in toolchains for part in _parts(toolchain, recipe)]
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": plan.name,
        "version": plan.version,
    }
    components = {
        part["bom-ref"]: part
        for part in ({"type": "application", "bom-ref": "tinsmith", "name": "tinsmith"}, *parts, *steps)
    }
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": model},
        "components": [components[key] for key in sorted(components)],
        "dependencies": _dependencies(toolchains, [step["bom-ref"] for step in steps], recipe),
    }
    serial = uuid.uuid5(_NAMESPACE, hex_of(digest_bytes(canonical_json(document))))
    return canonical_json({**document, "serialNumber": f"urn:uuid:{serial}"})


def _parts(toolchain: ToolchainMaterials, recipe: Recipe) -> list[dict[str, Any]]:
    folder = f"toolchains/{toolchain.name}/"
    whole = {"type": "platform", "bom-ref": _toolchain(toolchain), "name": toolchain.name}
    files = [] if toolchain.own else [_file(name, data) for name, data in recipe.items() if _built_from(name, folder)]
    return [whole, _container(toolchain.image), *map(_package, toolchain.packages), *files]


def _built_from(name: str, folder: str) -> bool:
    return name == f"{folder}Dockerfile" or name.startswith(f"{folder}kernels/")


def _package(package: Package) -> dict[str, Any]:
    """Of several files one was installed, so their hashes are not all the component's: they are of its distribution."""
    part: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    hashes = [{"alg": "SHA-256", "content": item} for item in package.hashes]
    if len(hashes) == 1:
        return {**part, "hashes": hashes}
    link = {
        "type": "distribution",
        "url": f"https://pypi.org/project/{package.name}/{package.version}/",
        "comment": "one of the files with these hashes",
        "hashes": hashes,
    }
    return {**part, "externalReferences": [link]}


def _container(image: Image) -> dict[str, Any]:
    part: dict[str, Any] = {
        "type": "container",
        "bom-ref": _reference(image),
        "name": image.name or "local image",
        "version": image.tag or f"sha256:{image.sha256}",
        "hashes": [{"alg": "SHA-256", "content": image.sha256}],
    }
    return {**part, "purl": image.purl} if image.purl else part


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": name,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": hex_of(digest_bytes(data))}],
    }


def _dependencies(toolchains: tuple[ToolchainMaterials, ...], steps: list[str], recipe: Recipe) -> list[dict[str, Any]]:
    found = [{"ref": "model", "dependsOn": sorted(["tinsmith", *steps, *map(_toolchain, toolchains)])}]
    for toolchain in toolchains:
        needs = {part["bom-ref"] for part in _parts(toolchain, recipe)} - {_toolchain(toolchain)}
        found.append({"ref": _toolchain(toolchain), "dependsOn": sorted(needs)})
    return found


def _toolchain(toolchain: ToolchainMaterials) -> str:
    return f"toolchain:{toolchain.name}"


def _reference(image: Image) -> str:
    return f"image:sha256:{image.sha256}"
