"""The unit of work: a step, its inputs and the key that names its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.digest import Digest

KEY_FORMAT = 1
"""Raised whenever the meaning of a key changes, so that no older result is taken for a new one."""


@dataclass(frozen=True)
class StepInput:
    """One input folder of a step: a data source (by content digest) or the outputs of another step."""

    name: str
    source: str | None = None
    step: str | None = None


@dataclass(frozen=True)
class Toolchain:
    """What a step runs in. ``digest`` covers base image, Dockerfile, hashed requirements and kernel sources.

    ``image``: one's own image, which is run as it is in place of what the others would build.
    """

    name: str
    python: str
    base_image: str
    requirements_digest: Digest
    dockerfile_digest: Digest
    digest: Digest
    image: str | None = None
    kernels_digest: Digest | None = None


@dataclass(frozen=True)
class Step:
    """A piece of work with everything that decides its output bytes; ``key`` is the digest of all of it.

    ``module`` is the step code's module that runs; two steps of a plan may run the same one. ``inputs`` are in a fixed
    order; ``resumable`` steps keep their output folder's ``checkpoints`` when they are stopped. ``memory_mb`` is a
    limit, not part of the key; ``threads`` is part of it, or None: then the result is the same for any number, and as
    many are used as there are.
    """

    name: str
    module: str
    toolchain: Toolchain
    params: Mapping[str, Any]
    inputs: tuple[StepInput, ...]
    code: tuple[str, ...]
    key: Digest
    threads: int | None = 2
    memory_mb: int = 8192
    resumable: bool = False


@dataclass(frozen=True)
class Plan:
    """Steps in a stable topological order. ``target`` is the step whose output is released."""

    name: str
    version: str
    steps: tuple[Step, ...]
    target: str
    digest: Digest

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def needed(self) -> tuple[Step, ...]:
        """The steps that the target's bytes depend on, in order: all but those that only measure this machine."""
        wanted = {self.target}
        for step in reversed(self.steps):
            if step.name in wanted:
                wanted.update(item.step for item in step.inputs if item.step is not None)
        return tuple(step for step in self.steps if step.name in wanted)
