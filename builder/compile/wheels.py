"""The packages of a toolchain as files, as its hashed lock names them, for machines without a package index."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from builder.engine.base import Emit
from builder.engine.interpreter import find_interpreter
from builder.engine.virtualenv import build_tools, checked_requirements
from builder.errors import NoEngine
from builder.plan.step import Toolchain


def download(toolchain: Toolchain, folder: Path, target: Path, emit: Emit) -> list[Path]:
    """Wheels and source packages in ``target``, by name, each with a hash of the lock in ``folder``.

    They are for the toolchain's Python on this platform, whose pip fetches them. NoEngine if there is no such Python
    or no index answers.
    """
    requirements = checked_requirements(toolchain, folder)
    interpreter = find_interpreter(toolchain.python, emit)
    emit("message", {"text": f"fetching the packages of {toolchain.name}"})
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="tinsmith-wheels-") as scratch:
        environment = Path(scratch) / "python"
        tools = Path(scratch) / "build.lock"
        tools.write_text(build_tools(requirements.read_text()))
        pip = [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        hashed = ["--no-deps", "--require-hashes", "-r"]
        try:
            _run([str(interpreter), "-m", "venv", str(environment)])
            if tools.stat().st_size:
                # What tells the names and versions of source packages, from the same lock.
                _run([*pip, "install", *hashed, str(tools)])
            _run([*pip, "download", "--no-build-isolation", "--dest", str(target), *hashed, str(requirements)])
        except (OSError, subprocess.SubprocessError) as error:
            said = error.stderr if isinstance(error, subprocess.CalledProcessError) else error
            raise NoEngine(
                "\n    ".join([f"the packages of {toolchain.name} cannot be fetched", *str(said).splitlines()[-6:]]),
                help="a package index must be reachable; --no-wheels leaves them out",
                code="no-packages",
            ) from error
    return sorted(target.iterdir())


def _run(command: list[str]) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    subprocess.run(command, env=environ, check=True, capture_output=True, text=True, cwd="/")
