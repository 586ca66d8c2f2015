"""What a user mistypes on the command line ends in one line and a documented status, before anything starts."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHAPES, RACCOON = str(ROOT / "manifests" / "shapes.yaml"), str(ROOT / "manifests" / "raccoon-025.yaml")


def tinsmith(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from builder.cli import main; main()", *words]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["build", RACCOON, "--source", "racoon=."], 2, ["'racoon'", "sources: raccoon"]),
        (["lock", SHAPES, "--source", "shapes=."], 2, ["'shapes'", "sources: none"]),
        (["build", RACCOON, "--source", "raccoon=nowhere"], 3, ["nowhere"]),
        (["build", SHAPES, "--releases", "a-file"], 8, ["a-file"]),
        (["build", SHAPES, "--store", "a-file"], 8, ["a-file"]),
        (["build", SHAPES, "--engine", "podman"], 2, ["podman", "docker"]),
        (["list", "--releases", "a-file"], 8, ["a-file"]),
        (["show", "shapes"], 2, ["none yet"]),
        (["compile", SHAPES, "-o", "a-file"], 2, ["a-file"]),
        (["compile", SHAPES], 2, ["-o"]),
        (["compile", "-o", "new"], 2, ["one manifest"]),
        (["compile", SHAPES, "-o", "new", "--since", "HEAD"], 2, ["matrix"]),
        (["compile", "absent", "--to", "matrix"], 2, ["absent"]),
        (["compile", SHAPES, "--to", "matrix", "--source", "x=."], 2, ["--source"]),
        (["changed", "--since", "HEAD"], 2, ["git is not installed"]),
        (["hook", "install", "absent"], 2, ["absent"]),
        (["compile", SHAPES, "-o", "new", "--to", "podman"], 2, ["podman", "dockerfile"]),
        (["compile", RACCOON, "-o", "new", "--source", "racoon=."], 2, ["sources: raccoon"]),
        (["capsule", "shapes", "-o", "."], 2, ["no file"]),
        (["capsule", "shapes", "-o", "a.tar"], 2, ["none yet"]),
        (["check", "absent.yaml"], 2, ["absent.yaml"]),
    ],
    ids=str,
)
def test_a_mistake_is_one_error_with_its_status(tmp_path: Path, words: list[str], status: int, says: list[str]) -> None:
    (tmp_path / "a-file").write_text("")
    done = tinsmith(tmp_path, *words)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    for text in says:
        assert text in done.stderr
    assert "started" not in done.stderr


def test_version(tmp_path: Path) -> None:
    done = tinsmith(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (0, f"tinsmith {importlib.metadata.version('tinsmith')}\n")


def test_init_has_git_ignore_what_builds_make_and_touches_no_file_that_is_there(tmp_path: Path) -> None:
    assert tinsmith(tmp_path, "init", "owls").stdout == "manifests/owls.yaml\n.gitignore\n"
    path = tmp_path / ".gitignore"
    assert {".tinsmith/", "build/", "releases/"} < set(path.read_text().splitlines())
    path.write_text("mine")
    assert tinsmith(tmp_path, "init", "storks").stdout == "manifests/storks.yaml\n"
    assert path.read_text() == "mine"
