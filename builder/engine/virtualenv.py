"""One virtual environment for each set of hashed requirements, made once and shared by a user's builds."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import uv

from builder.digest import digest_file, digest_json, hex_of
from builder.engine.base import Emit
from builder.engine.interpreter import find_interpreter
from builder.errors import LockError, NoEngine
from builder.kernels import COMPILE, KERNELS, kernel_sources, kernels_digest
from builder.plan.step import Toolchain

_READY = ".tinsmith-ready"
_COMPILED = ".tinsmith-compiled"
_BUILD_TOOLS = ("pip", "setuptools", "wheel")


def checked_requirements(toolchain: Toolchain, folder: Path) -> Path:
    """The toolchain's requirements.lock in ``folder``. LockError if it is not the locked one."""
    path = folder / "requirements.lock"
    if not path.is_file() or digest_file(path) != toolchain.requirements_digest:
        raise LockError(
            f"{path} is not what the lock was made for",
            help="run 'tinsmith lock' again, or restore the file",
            code="stale-toolchain",
        )
    return path


def checked_kernels(toolchain: Toolchain, folder: Path) -> dict[str, bytes]:
    """The sources of the toolchain's kernels in ``folder``. LockError if they are not the locked ones."""
    sources = kernel_sources(folder)
    if kernels_digest(sources) != toolchain.kernels_digest:
        raise LockError(
            f"{folder / KERNELS} is not what the lock was made for",
            help="run 'tinsmith lock' again, or restore the folder",
            code="stale-toolchain",
        )
    return sources


def environment_folder(toolchain: Toolchain, cache: Path) -> Path:
    """Where the environment of ``toolchain`` lies, made or not.

    Only Python's version, the requirements and the kernels decide it: another base image needs no other environment.
    """
    identity = {"python": toolchain.python, "requirements": toolchain.requirements_digest}
    if toolchain.kernels_digest is not None:
        identity["kernels"] = toolchain.kernels_digest
    return cache / "toolchains" / f"{toolchain.name}-{hex_of(digest_json(identity))}"


def ensure_environment(toolchain: Toolchain, folder: Path, cache: Path, emit: Emit) -> Path:
    """The finished environment of ``toolchain`` (its folder has ``bin/python``), made if need be.

    ``folder`` holds the toolchain's requirements.lock. Of several processes one makes it, the others wait. An
    environment cannot be moved, so it is made where it stays, and counts only once its marker is written.
    """
    requirements = checked_requirements(toolchain, folder)
    kernels = checked_kernels(toolchain, folder)
    target = environment_folder(toolchain, cache)
    if (target / _READY).is_file() and (not kernels or (target / _COMPILED).is_file()):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(target.with_name(target.name + ".lock")):
        if not (target / _READY).is_file():
            begun = time.monotonic()
            interpreter = find_interpreter(toolchain.python, emit)
            emit("message", {"text": f"installing {toolchain.name} ({interpreter})"})
            _make(target, interpreter, requirements, emit)
            (target / _READY).write_text(f"{toolchain.requirements_digest}\n")
            emit("message", {"text": f"{toolchain.name} installed in {time.monotonic() - begun:.0f}s"})
        if kernels and not (target / _COMPILED).is_file():
            _compile(target, kernels, emit)
    return target


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make(target: Path, interpreter: Path, requirements: Path, emit: Emit) -> None:
    tried = []
    for name, install in (("uv", _with_uv), ("pip", _with_pip)):
        shutil.rmtree(target, ignore_errors=True)
        try:
            install(target, interpreter, requirements)
            return
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{name}: {_reason(error)}")
            emit("message", {"text": f"{name} could not install {requirements.parent.name}"})
    shutil.rmtree(target, ignore_errors=True)
    raise NoEngine(
        "\n    ".join([f"the packages of {requirements} cannot be installed", *tried]),
        help="a package index must be reachable; pip's own settings (index, certificate) are honoured",
        code="no-toolchain",
    )


def _with_uv(target: Path, interpreter: Path, requirements: Path) -> None:
    tool, environ = uv.find_uv_bin(), _uv_environment()
    _run([tool, "venv", "--quiet", "--no-project", "--python", str(interpreter), str(target)], environ)
    install = [tool, "pip", "install", "--quiet", "--no-config", "--python", str(target / "bin" / "python")]
    # Where a package is built from source, its build tools are the locked ones too.
    install += ["--no-deps", "--require-hashes", "--build-constraints", str(requirements)]
    _run([*install, "--compile-bytecode", "-r", str(requirements)], environ)


def _uv_environment() -> dict[str, str]:
    """The caller's environment, with the settings of pip that uv knows by other names."""
    environ = dict(os.environ)
    names = {
        "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
        "PIP_EXTRA_INDEX_URL": "UV_INDEX",
        "PIP_CERT": "SSL_CERT_FILE",
    }
    for theirs, ours in names.items():
        if value := environ.get(theirs):
            environ.setdefault(ours, value)
    environ.pop("VIRTUAL_ENV", None)
    return environ


def _with_pip(target: Path, interpreter: Path, requirements: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    _run([str(interpreter), "-m", "venv", str(target)], environ)
    install = [
        str(target / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
    ]
    tools = target / "build-tools.lock"
    tools.write_text(build_tools(requirements.read_text()))
    if tools.stat().st_size:
        _run([*install, "-r", str(tools)], environ)
    _run([*install, "--no-build-isolation", "-r", str(requirements)], environ)


def _compile(target: Path, sources: Mapping[str, bytes], emit: Emit) -> None:
    """Builds the kernels into the environment. Where that fails, steps do without and say so; it is tried again."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-kernels-") as folder:
        for name, data in sources.items():
            (Path(folder) / name).write_bytes(data)
        try:
            _run([str(target / "bin" / "python"), str(Path(folder) / COMPILE)], dict(os.environ))
        except (OSError, subprocess.SubprocessError) as error:
            text = f"the training kernels cannot be compiled, so training will be slower: {_reason(error)}"
            emit("message", {"text": text})
            return
    (target / _COMPILED).touch()


def build_tools(requirements: str) -> str:
    """The entries of a requirements.lock that build other packages, with their hashes."""
    names = "|".join(_BUILD_TOOLS)
    return "".join(re.findall(rf"^(?:{names})==(?:.*\\\n)*.*\n", requirements, re.MULTILINE))


def _run(command: Sequence[str], environ: dict[str, str]) -> None:
    subprocess.run(command, env=environ, check=True, capture_output=True, text=True, cwd="/")


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = str(error.stderr).strip().splitlines()
        return "\n      ".join(lines[-6:]) or f"exit {error.returncode}"
    return str(error)
