"""Finds a Python of an exact minor version: on PATH, in pyenv, or through uv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import uv

from builder.engine.base import Emit
from builder.errors import NoEngine

_ASK = (
    "import json,sys,venv,ensurepip;"
    "print(json.dumps(['%d.%d' % sys.version_info[:2], sys.platform, sys.maxsize > 2**32, sys.executable]))"
)
_INSTALL_SECONDS = 300


def find_interpreter(version: str, emit: Emit) -> Path:
    """A working interpreter of ``version`` ("3.7"), fetched by uv if the machine has none.

    NoEngine, with what to install, if there is none to be had.
    """
    for candidate in _candidates(version):
        if found := usable(candidate, version):
            return found
    emit("message", {"text": f"no Python {version} here; asking uv for one"})
    _uv("python", "install", version, seconds=_INSTALL_SECONDS)
    if (named := _uv("python", "find", "--no-project", version)) and (found := usable(Path(named), version)):
        return found
    raise NoEngine(
        f"there is no Python {version} on this machine, and uv could not install one",
        help=f"install it with 'pyenv install {version}', put python{version} on PATH, or use Docker",
        code="no-interpreter",
    )


def usable(candidate: Path, version: str) -> Path | None:
    """The real interpreter behind ``candidate`` if it runs and is a 64-bit Python of ``version``.

    It is run to find out: a pyenv shim or a broken installation looks like one and is not.
    """
    try:
        done = subprocess.run([str(candidate), "-I", "-c", _ASK], capture_output=True, timeout=20, check=True, cwd="/")
        found, _, wide, executable = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Path(executable) if found == version and wide else None


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if folder and (found := shutil.which(name, path=folder)):
            yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"), reverse=True)
    if found := _uv("python", "find", "--no-project", "--no-python-downloads", version):
        yield Path(found)


def _uv(*arguments: str, seconds: float = 60) -> str:
    """What uv answers, or nothing if it fails."""
    try:
        command = [uv.find_uv_bin(), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=True, text=True, cwd="/")
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
