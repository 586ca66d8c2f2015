"""Builds a capsule's release on this machine: no tinsmith, no Docker, no network. ``python3 local.py OUTPUT``

A capsule carries this file along as it is; it uses the standard library of Python 3.8 or newer. Beside it lie
``local.json`` (steps, toolchains, environment), ``wheels/TOOLCHAIN/`` and the compiled build ``context/``. It needs
Linux on x86-64 and the Pythons that local.json names, found on PATH, in pyenv, or given with --python.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BUILD_TOOLS = r"^(?:pip|setuptools|wheel)==(?:.*\\\n)*.*\n"
"""Entries of a requirements.lock that build other packages: installed first."""


def build(capsule: Path, output: Path, work: Path, pythons: list[str]) -> str:
    """Builds into the empty folder ``output``, using the folder ``work``; the line with the release's digest."""
    plan = json.loads((capsule / "local.json").read_bytes())
    ready = {
        name: install(capsule, name, find_python(toolchain["python"], pythons), work)
        for name, toolchain in plan["toolchains"].items()
    }
    for step in plan["steps"]:
        print(f"step {step['name']}", flush=True)
        run(capsule, step, ready[step["toolchain"]], plan, work)
    parts = work / "+release"  # no step is called like this
    shutil.copytree(str(work / plan["target"] / "out"), str(parts / "files"))
    shutil.copytree(str(capsule / "context" / "static"), str(parts / "static"))
    shutil.copy(str(capsule / "context" / "release.json"), str(parts))
    (parts / "results").mkdir()
    for step in plan["steps"]:
        shutil.copy(str(work / step["name"] / "result.json"), str(parts / "results" / (step["name"] + ".json")))
    (toolchain,) = [step["toolchain"] for step in plan["steps"] if step["name"] == plan["target"]]
    command = [str(ready[toolchain] / "bin" / "python"), "-m", "builder.compile.assemble"]
    assemble = capsule / "context" / "assemble"
    done = subprocess.run([*command, str(parts), str(output)], cwd=str(assemble), env=plain(work), check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    return done.stdout.strip()


def install(capsule: Path, name: str, python: str, work: Path) -> Path:
    """A virtual environment with the packages of a toolchain, and its kernels where it has them."""
    print(f"toolchain {name}, with {python}", flush=True)
    target, sources = work / "+toolchains" / name, capsule / "context" / "toolchains" / name
    subprocess.run([python, "-m", "venv", str(target)], env=plain(work), check=True)
    here = str(target / "bin" / "python")
    lock = sources / "requirements.lock"
    tools = target / "build.lock"
    tools.write_text("".join(re.findall(BUILD_TOOLS, lock.read_text(), re.MULTILINE)))
    pip = [here, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(capsule / "wheels" / name)]
    pip += ["--no-deps", "--require-hashes", "--disable-pip-version-check"]
    if tools.stat().st_size:
        subprocess.run([*pip, "-r", str(tools)], env=plain(work), check=True)
    subprocess.run([*pip, "--no-build-isolation", "-r", str(lock)], env=plain(work), check=True)
    if (sources / "kernels").is_dir():
        subprocess.run([here, str(sources / "kernels" / "compile.py")], env=plain(work), check=True)
    return target


def run(capsule: Path, step: Mapping[str, Any], toolchain: Path, plan: Mapping[str, Any], work: Path) -> None:
    """Runs a step in a folder of its own; ``result.json`` comes to lie beside its outputs, not among them."""
    place = work / step["name"]
    (place / "out").mkdir(parents=True)
    (place / "steps").mkdir()
    for name in step["code"]:
        shutil.copy(str(capsule / "context" / "steps" / name), str(place / "steps"))
    request = json.loads((capsule / "context" / "requests" / (step["name"] + ".json")).read_bytes())
    request["output"] = str(place / "out")
    for name, source in step["inputs"].items():
        request["inputs"][name] = str(capsule / "context" / source["data"] if "data" in source else
                                      work / source["step"] / "out")  # fmt: skip
    threads = request["threads"] or len(os.sched_getaffinity(0))
    request["threads"] = threads
    (place / "request.json").write_text(json.dumps(request))
    with tempfile.TemporaryDirectory(prefix="step-", dir=str(work)) as home:
        environment = {name: home if value is None else value for name, value in plan["environment"].items()}
        environment["PATH"] = f"{toolchain / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        environment.update({name: str(threads) for name in plan["thread_variables"]})
        command = [str(toolchain / "bin" / "python"), str(place / "steps" / "run.py"), str(place / "request.json")]
        with (place / "log").open("wb") as log:
            done = subprocess.run(command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.exit(f"step {step['name']} failed; what it said: {place / 'log'}")
    (place / "out" / "result.json").rename(place / "result.json")
    shutil.rmtree(str(place / "out" / "checkpoints"), ignore_errors=True)


def find_python(version: str, given: list[str]) -> str:
    """A Python of ``version``: one of those given, on PATH, or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))) / "versions"
    found = [*given, shutil.which("python" + version) or "", *map(str, sorted(pyenv.glob(version + ".*/bin/python")))]
    ask = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
    for python in filter(shutil.which, found):
        done = subprocess.run([python, "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0 and done.stdout.decode().strip() == version:
            return python
    sys.exit(f"there is no Python {version} on this machine: install it, or name it with --python")


def plain(work: Path) -> dict[str, str]:
    """The environment of all but the steps: nothing of the caller's comes in, pip's settings least of all."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(work),
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds the release of this capsule on this machine.")
    parser.add_argument("output", type=Path, help="a new folder for the release")
    parser.add_argument("--python", action="append", default=[], help="a Python to use; may be given more than once")
    options = parser.parse_args()
    output = options.output.resolve()
    output.mkdir(parents=True)
    work = Path(tempfile.mkdtemp(prefix=".work-", dir=str(output.parent)))
    print(build(HERE, output, work, options.python))
    shutil.rmtree(str(work))


if __name__ == "__main__":
    main()
