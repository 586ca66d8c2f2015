"""Making a toolchain's virtual environment: once, whole, from the locked requirements, or not at all."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from builder.digest import digest_bytes
from builder.engine.interpreter import usable
from builder.engine.virtualenv import build_tools, ensure_environment, environment_folder
from builder.errors import LockError, NoEngine
from builder.kernels import kernel_sources, kernels_digest
from builder.resources import toolchain_folder
from tests.engine.conftest import TOOLCHAIN_FOLDER, tiny_toolchain
from tests.fakes import Events

TINY = tiny_toolchain("none")


def test_it_is_made_once_and_runs_the_asked_version(tmp_path: Path) -> None:
    events = Events()
    folder = ensure_environment(TINY, TOOLCHAIN_FOLDER, tmp_path, events)
    first = len(events)

    assert ensure_environment(TINY, TOOLCHAIN_FOLDER, tmp_path, events) == folder
    assert len(events) == first > 0
    answer = subprocess.run(
        [folder / "bin" / "python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == "3.11\n"


def test_one_that_was_left_half_made_is_made_anew(tmp_path: Path) -> None:
    folder = environment_folder(TINY, tmp_path)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("rubbish")

    ensure_environment(TINY, TOOLCHAIN_FOLDER, tmp_path, Events())

    assert subprocess.call([folder / "bin" / "python", "-c", ""]) == 0


def test_of_several_makers_one_makes_it(tmp_path: Path) -> None:
    events = Events()
    with ThreadPoolExecutor(4) as pool:
        made = {
            job.result()
            for job in [pool.submit(ensure_environment, TINY, TOOLCHAIN_FOLDER, tmp_path, events) for _ in range(4)]
        }

    assert len(made) == 1
    assert len([item for item in events.of("message") if "installed in" in item["text"]]) == 1


def test_another_base_image_needs_no_other_environment(tmp_path: Path) -> None:
    other = tiny_toolchain("another")

    assert other.digest != TINY.digest
    assert environment_folder(other, tmp_path) == environment_folder(TINY, tmp_path)


def test_requirements_other_than_the_locked_ones_are_refused(tmp_path: Path) -> None:
    stale = replace(TINY, requirements_digest=digest_bytes(b"others"))

    with pytest.raises(LockError) as caught:
        ensure_environment(stale, TOOLCHAIN_FOLDER, tmp_path, Events())

    assert caught.value.code == "stale-toolchain"
    assert not list(tmp_path.iterdir())


def test_no_interpreter_is_said_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(NoEngine, match=r"no Python 2\.1") as caught:
        ensure_environment(replace(TINY, python="2.1"), TOOLCHAIN_FOLDER, tmp_path, Events())

    assert caught.value.exit_status == 6
    assert "pyenv install 2.1" in (caught.value.help or "")


def test_packages_that_cannot_be_installed_leave_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL", "UV_INDEX_URL"):
        monkeypatch.setenv(variable, f"file://{tmp_path}/nothing")
    monkeypatch.setenv("UV_OFFLINE", "1")
    folder = tmp_path / "toolchain"
    folder.mkdir()
    text = f"no-such-package-of-tinsmith==1.0 --hash=sha256:{'0' * 64}\n"
    (folder / "requirements.lock").write_text(text)
    broken = replace(TINY, requirements_digest=digest_bytes(text.encode()))

    with pytest.raises(NoEngine) as caught:
        ensure_environment(broken, folder, tmp_path, Events())

    assert caught.value.code == "no-toolchain"
    assert "no-such-package-of-tinsmith" in caught.value.message
    assert not environment_folder(broken, tmp_path).exists()


def test_kernels_that_cannot_be_compiled_are_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "toolchain"
    (folder / "kernels").mkdir(parents=True)
    (folder / "requirements.lock").write_bytes((TOOLCHAIN_FOLDER / "requirements.lock").read_bytes())
    (folder / "kernels" / "compile.py").write_text(
        "import os, sys\nif 'COMPILER' not in os.environ: sys.exit('no compiler')\n"
        "open(os.path.join(sys.prefix, 'compiled'), 'w').close()\n"
    )
    compiled = replace(TINY, kernels_digest=kernels_digest(kernel_sources(folder)))
    events = Events()

    made = ensure_environment(compiled, folder, tmp_path, events)
    assert subprocess.call([made / "bin" / "python", "-c", ""]) == 0
    assert "no compiler" in [item["text"] for item in events.of("message")][-1]
    assert not (made / "compiled").exists()

    monkeypatch.setenv("COMPILER", "there")
    told = len(events)
    ensure_environment(compiled, folder, tmp_path, events)
    assert (made / "compiled").is_file() and len(events) == told


def test_something_that_only_looks_like_a_python_is_not_one(tmp_path: Path) -> None:
    shim = tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)

    assert usable(shim, "3.11") is None
    assert usable(tmp_path / "missing", "3.11") is None
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert usable(Path(sys.executable), version) == Path(sys.executable)
    assert usable(Path(sys.executable), "3.7") is None


def test_the_build_tools_of_a_lock_come_with_their_hashes() -> None:
    lock = (toolchain_folder("tf1.15") / "requirements.lock").read_text()

    lines = build_tools(lock).splitlines()

    assert [line for line in lines if "==" in line] == ["setuptools==68.0.0 \\", "wheel==0.42.0 \\"]
    assert all("--hash=sha256:" in line for line in lines if "==" not in line)
    assert build_tools("numpy==1 \\\n    --hash=sha256:0\n") == ""
