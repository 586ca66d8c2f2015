"""Where the toolchains and the step code lie: ``docker/`` of a checkout, or the copy inside the wheel."""

from __future__ import annotations

from pathlib import Path


def docker_folder() -> Path:
    packaged = Path(__file__).parent / "_docker"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "docker"


def steps_folder() -> Path:
    return docker_folder() / "steps"


def toolchain_folder(name: str) -> Path:
    return docker_folder() / name
