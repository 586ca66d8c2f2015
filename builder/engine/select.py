"""Which engine a build uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from builder.engine.base import Engine
from builder.engine.docker import DockerEngine
from builder.engine.isolation import strongest
from builder.engine.local import LocalEngine
from builder.errors import NoEngine, UsageError
from builder.resources import toolchain_folder
from builder.settings import ENGINES


def known(name: str) -> str:
    """``name``, if it is an engine's of this machine; else UsageError."""
    if name == "dask":
        raise UsageError(
            "only 'tinsmith build' knows the engine dask; this runs on one machine",
            help=f"one of: {', '.join(ENGINES)}",
        )
    if name not in ENGINES:
        raise UsageError(f"no engine is called {name!r}", help=f"one of: {', '.join(ENGINES)}")
    return name


def choose(name: str, folders: Callable[[str], Path] = toolchain_folder) -> Engine:
    """The engine called ``name``; ``auto`` is docker if a daemon answers, else local.

    ``folders`` finds a toolchain's folder by its name.

    NoEngine if docker is asked for by name and no daemon answers; UsageError as for ``known``.
    """
    if known(name) == "local":
        return LocalEngine(folders=folders)
    if name == "docker":
        return _docker(folders)
    try:
        return _docker(folders)
    except NoEngine:
        return LocalEngine(folders=folders)


def describe_engines() -> list[str]:
    """What each engine offers on this machine, a line each; ``auto`` takes the first that works."""
    try:
        engine = _docker()
        docker = engine.isolation
        engine.close()
    except NoEngine as error:
        docker = f"not available: {error.message}"
    return [f"docker     {docker}", f"local      {strongest()}"]


def _docker(folders: Callable[[str], Path] = toolchain_folder) -> DockerEngine:
    return DockerEngine.connect(images=image_references(os.environ), folders=folders)


def image_references(environ: Mapping[str, str]) -> dict[str, str]:
    """``TINSMITH_IMAGES`` (``tf1.15=registry/name@sha256:… litert=…``) as toolchain name -> image to pull."""
    pairs = (item.partition("=") for item in environ.get("TINSMITH_IMAGES", "").split())
    return {name: reference for name, _, reference in pairs if reference}
