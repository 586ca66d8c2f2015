"""The hook as a file of the repository."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from builder.changes import git
from builder.errors import StoreUnreachable, UsageError
from builder.hook.place import Place
from builder.hook.programs import tinsmith
from builder.hook.settings import Settings, read, write
from builder.whole import write_whole

NAME = "post-receive"
_MARK = "# Written by 'tinsmith hook install', which also changes it; settings: [tinsmith] in this repository's config."


def place_of(repository: Path) -> Place:
    """Of a repository by its folder: a bare one, or a working tree. UsageError if there is none."""
    if not repository.is_dir():
        raise UsageError(f"there is no folder {repository}")
    git.find(repository)
    done = git.run(["rev-parse", "--git-common-dir"], folder=repository)
    if done.returncode != 0:
        raise UsageError(f"{repository} is no git repository: {git.said(done)}")
    return Place((repository / os.fsdecode(done.stdout).removesuffix("\n")).resolve())


def check_itself(repository: Path) -> None:
    """UsageError if ``repository`` is only a folder somewhere in one: what is installed is for the whole of it."""
    found = git.find(repository)
    if repository.resolve() not in (found.top, found.git_dir.resolve(), place_of(repository).git_dir):
        whole = found.top or found.git_dir
        raise UsageError(
            f"{repository} is a folder inside the repository {whole}", help=f"tinsmith hook install {whole}"
        )


def installed(place: Place) -> bool:
    """Whether pushes reach tinsmith: its settings and its hook are there."""
    path = hook_path(place)
    return read(place) is not None and path.is_file() and _ours(path)


def install(place: Place, settings: Settings) -> Path:
    """Writes the settings and the hook; returns the hook's path. Again is the same as once.

    UsageError (``foreign-hook``), with nothing written, if another hook is there.
    """
    path = hook_path(place)
    if path.is_symlink() or (path.exists() and not _ours(path)):
        raise UsageError(
            f"{path} is there already, and is not tinsmith's",
            help=f"have it pass its input on to: {shlex.join(tinsmith('hook', 'run'))}",
            code="foreign-hook",
        )
    write(place, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, script())
    return path


def _ours(path: Path) -> bool:
    return _MARK in path.read_text(encoding="utf-8", errors="replace")


def script() -> str:
    return f"#!/bin/sh\n{_MARK}\nexec {shlex.join(tinsmith('hook', 'run'))}\n"


def hook_path(place: Place) -> Path:
    """Where git looks for the hook: ``core.hooksPath`` decides."""
    try:
        done = subprocess.run(
            ["git", f"--git-dir={place.git_dir}", "rev-parse", "--git-path", f"hooks/{NAME}"],
            cwd=place.git_dir,
            env=git.environment(),
            capture_output=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise UsageError(f"git does not say where the hooks of {place.git_dir} are: {error}") from error
    return place.git_dir / os.fsdecode(done.stdout).removesuffix("\n")


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode("utf-8"), 0o755)
    except OSError as error:
        raise StoreUnreachable(f"{path} cannot be written: {error.strerror}") from error
