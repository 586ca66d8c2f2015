"""The verbs of this tinsmith, run as processes of their own: what they do wrong, or need, ends with them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from builder.changes import git
from builder.configuration import CHOSEN

_GRACE_SECONDS = 60.0
"""How long a build that is stopped may take to end its step and containers."""


def tinsmith(*words: str) -> list[str]:
    """The command. ``-P``: a folder ``builder`` in what was pushed is not taken for the program."""
    return [sys.executable, "-P", "-c", "from builder.cli import main; main()", *words]


def environment(toml: Path | None) -> dict[str, str]:
    """Without git's variables; ``toml`` is the only project's settings file there is."""
    return {**git.environment(), CHOSEN: str(toml) if toml is not None else "", "NO_COLOR": "1"}


def run(command: Sequence[str], environ: dict[str, str], folder: Path, out: Path, log: Path) -> int:
    """Runs ``command`` in ``folder`` to its end and returns its exit status: what it prints goes to ``out``, what it
    complains about is added to ``log``. If this process is told to stop, or is killed, so is the command told."""
    if shutil.which("setpriv"):
        # Else the build of a killed worker would go on beside that of the next one.
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    with out.open("wb") as stdout, log.open("ab") as stderr:
        process = subprocess.Popen(
            command, env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
        try:
            return process.wait()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            process.kill()
            process.wait()
            raise


def start_worker(git_dir: Path, log: Path) -> None:
    """A worker in a session of its own, which holds none of this process's streams: a push does not wait for it."""
    with log.open("ab") as stream:
        subprocess.Popen(
            tinsmith("hook", "work", os.fspath(git_dir)),
            env=git.environment(),
            cwd=git_dir,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
