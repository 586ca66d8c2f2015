"""What a lock says: for every name in a manifest, the digest it stood for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from builder.digest import Digest, digest_json
from builder.manifest.fields import Part, Problem, refuse

if TYPE_CHECKING:
    from builder.plan.step import Toolchain

SCHEMA = 1

Sha256 = Annotated[Digest, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Pinned = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-zA-Z0-9._/:-]*@)?sha256:[0-9a-f]{64}$")]


class LockedToolchain(Part):
    """A toolchain as it was: ``digest`` covers the rest and the toolchain's name."""

    python: Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,2}$")]
    base_image: Pinned
    requirements: Sha256
    dockerfile: Sha256
    kernels: Sha256 | None = None
    image: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-zA-Z0-9._/:-]*@)?sha256:[0-9a-f]{64}$")] | None = (
        None
    )
    digest: Sha256

    def identity(self, name: str) -> dict[str, Any]:
        """What ``digest`` is taken over."""
        return {key: value for key, value in self.entries(name) if value is not None}

    def entries(self, name: str) -> tuple[tuple[str, str | None], ...]:
        """Of ``identity``, those that are not given too."""
        return ("name", name), *((key, value) for key, value in self if key != "digest")

    def toolchain(self, name: str) -> Toolchain:
        """In the form that steps take."""
        # Here and not above: plan is made from locks, its package may import this module.
        from builder.plan.step import Toolchain

        return Toolchain(
            name=name,
            python=self.python,
            base_image=self.base_image,
            requirements_digest=self.requirements,
            dockerfile_digest=self.dockerfile,
            digest=self.digest,
            image=self.image,
            kernels_digest=self.kernels,
        )


@functools.lru_cache(maxsize=256)
def _digest(entries: tuple[tuple[str, str | None], ...]) -> Digest:
    """Over ``identity``; the same toolchains stand in thousands of locks."""
    return digest_json({key: value for key, value in entries if value is not None})


class LockedSource(Part):
    """The content of named files. ``paths`` are those that count; ``origin`` names where they came from for good."""

    name: Annotated[str, StringConstraints(max_length=128)]
    digest: Sha256
    files: Annotated[int, Field(ge=1)]
    bytes: Annotated[int, Field(ge=0)]
    paths: tuple[str, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    origin: str | None = None


class Lock(Part):
    """Valid for one manifest only: the one whose digest is ``manifest_digest``."""

    schema_version: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)] = SCHEMA
    manifest_digest: Sha256
    toolchains: dict[str, LockedToolchain]
    dataset: LockedSource | None = None
    init: LockedSource | None = None

    @model_validator(mode="after")
    def _digests_agree(self) -> Lock:
        edited = [name for name, item in self.toolchains.items() if _digest(item.entries(name)) != item.digest]
        if edited:
            raise refuse(
                *(
                    Problem(
                        "inconsistent-lock",
                        f"the digest of toolchain {name} is not that of its entries",
                        "a lock is not edited by hand: make it again with 'tinsmith lock'",
                        ("toolchains", name, "digest"),
                    )
                    for name in edited
                )
            )
        return self

    def toolchain(self, name: str) -> Toolchain:
        """The toolchain called ``name``; ValueError if it is not locked."""
        found = self.toolchains.get(name)
        if found is None:
            raise ValueError(f"toolchain {name} is not locked")
        return found.toolchain(name)
