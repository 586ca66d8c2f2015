"""All files of a compiled build but its data, from a plan and what it was made of.

Nothing is read but the toolchains' folders and modules of this package.

What a person reads comes first: README.txt, then Dockerfile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import builder
from builder.compile.dockerfile import dockerfile, toolchains_of
from builder.compile.readme import context_readme
from builder.compile.toolchain import FOLDER
from builder.digest import Digest, canonical_json, digest_bytes, hex_of
from builder.engine.base import Workspace
from builder.engine.inside import OUTPUT, input_folder
from builder.engine.request import request
from builder.engine.virtualenv import checked_kernels, checked_requirements
from builder.errors import LockError
from builder.kernels import KERNELS
from builder.lock.model import Lock
from builder.manifest.model import Manifest
from builder.plan.code import StepCode
from builder.plan.step import Plan, Step, Toolchain

_CARRIED = (
    "__init__.py",
    "compile/__init__.py",
    "compile/assemble.py",
    "digest.py",
    "release/__init__.py",
    "release/document.py",
)
"""Modules of this package that a compiled build runs: they use the standard library and each other."""


@dataclass(frozen=True)
class Subject:
    """What is compiled: a plan with all that its steps run on, and what is known of its release.

    ``docker`` has a folder for each toolchain. ``static`` are the release's files that are known before anything is
    built (``release.contents``), ``annotations`` what its OCI manifest says of it. ``digest`` is that of the release,
    if it was built before.
    """

    manifest: Manifest
    lock: Lock
    plan: Plan
    code: StepCode
    docker: Path
    static: Mapping[str, bytes]
    annotations: Mapping[str, str]
    digest: Digest | None = field(default=None)


def context_files(subject: Subject) -> dict[str, bytes]:
    """Path -> bytes, in the order of paths. LockError if a toolchain's files are not the locked ones."""
    plan = subject.plan
    files = {f"assemble/builder/{name}": (Path(builder.__path__[0]) / name).read_bytes() for name in _CARRIED}
    recipes = {}
    for toolchain in toolchains_of(plan):
        if toolchain.image is None:
            text, more = _toolchain(toolchain, subject.docker / toolchain.name)
            recipes[toolchain.name] = text
            files.update({f"{FOLDER}/{toolchain.name}/{name}": data for name, data in more.items()})
    files["Dockerfile"] = dockerfile(plan, recipes).encode()
    files["offline.Dockerfile"] = dockerfile(plan, recipes, ready=True).encode()
    for step in plan.needed():
        files[f"requests/{step.name}.json"] = _readable(_request(step))
        files.update({f"steps/{name}": subject.code[name] for name in step.code})
    files.update({f"static/{title}": data for title, data in subject.static.items()})
    files["release.json"] = _readable(
        {
            "name": plan.name,
            "version": plan.version,
            "annotations": dict(subject.annotations),
            "target": plan.target,
            "steps": {step.name: step.key for step in plan.needed()},
        }
    )
    files["README.txt"] = context_readme(subject.manifest, subject.lock, plan, subject.digest).encode()
    return dict(sorted(files.items()))


def _toolchain(toolchain: Toolchain, folder: Path) -> tuple[str, dict[str, bytes]]:
    """The text of its Dockerfile, and the other files that it is built from."""
    text = (folder / "Dockerfile").read_bytes() if (folder / "Dockerfile").is_file() else b""
    if digest_bytes(text) != toolchain.dockerfile_digest:
        raise LockError(
            f"{folder / 'Dockerfile'} is not what the lock was made for",
            help="run 'tinsmith lock' again, or restore the file",
            code="stale-toolchain",
        )
    files = {"requirements.lock": checked_requirements(toolchain, folder).read_bytes()}
    files.update({f"{KERNELS}/{name}": data for name, data in checked_kernels(toolchain, folder).items()})
    return text.decode(), files


def _request(step: Step) -> dict[str, Any]:
    """As the Docker engine gives it; ``threads`` is null where the build is to use as many as there are."""
    inputs = {item.name: input_folder(item.name) for item in step.inputs}
    # One run of a step in one build: its key is all that its result has to prove.
    workspace = Workspace(inputs={}, output=Path(OUTPUT), steps=Path(), nonce=hex_of(step.key))
    return {**request(step, workspace, inputs, OUTPUT), "threads": step.threads}


def _readable(value: Any) -> bytes:
    canonical_json(value)  # no NaN
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()
