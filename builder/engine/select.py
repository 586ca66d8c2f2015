"""Which engine a build uses."""

from __future__ import annotations

import os
from collections.abc import Mapping

from builder.engine.base import Engine
from builder.engine.docker import DockerEngine
from builder.engine.isolation import strongest
from builder.engine.local import LocalEngine
from builder.errors import NoEngine, UsageError

NAMES = ("auto", "docker", "local")


def choose(name: str) -> Engine:
    """The engine called ``name``; ``auto`` is docker if a daemon answers, else local.

    NoEngine if docker is asked for by name and no daemon answers.
    """
    if name == "local":
        return LocalEngine()
    if name == "docker":
        return _docker()
    if name != "auto":
        raise UsageError(f"no engine is called {name!r}", help=f"one of: {', '.join(NAMES)}")
    try:
        return _docker()
    except NoEngine:
        return LocalEngine()


def describe_engines() -> list[str]:
    """What each engine offers on this machine, a line each; ``auto`` takes the first that works."""
    try:
        engine = _docker()
        docker = engine.isolation
        engine.close()
    except NoEngine as error:
        docker = f"not available: {error.message}"
    return [f"docker     {docker}", f"local      {strongest()}"]


def _docker() -> DockerEngine:
    return DockerEngine.connect(images=image_references(os.environ))


def image_references(environ: Mapping[str, str]) -> dict[str, str]:
    """``TINSMITH_IMAGES`` (``tf1.15=registry/name@sha256:… litert=…``) as toolchain name -> image to pull."""
    pairs = (item.partition("=") for item in environ.get("TINSMITH_IMAGES", "").split())
    return {name: reference for name, _, reference in pairs if reference}
