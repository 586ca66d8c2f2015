"""One commit of a git repository as a plain folder, and nothing else of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builder.errors import DatasetError, StoreUnreachable

HTTPS = ("https",)

_NO_SUCH_COMMIT = ("not our ref", "unadvertised object", "couldn't find remote ref", "bad object")
_SETTINGS = (
    # The bytes in the folder must be those of the commit, whatever this user's settings are.
    "core.autocrlf=false",
    "core.eol=lf",
    "core.symlinks=true",
    "core.attributesFile=/dev/null",
    "core.hooksPath=/dev/null",
    # A server that stalls is an error, not a wait for ever.
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
)


def checkout(url: str, commit: str, folder: Path, *, transports: Sequence[str] = HTTPS) -> None:
    """Puts the files of ``commit`` into ``folder``, which appears whole or not at all.

    ``transports`` are the only protocols git may use, on redirects too. StoreUnreachable if the repository
    cannot be reached, DatasetError if it does not have the commit or there is no git.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as scratch:
        files = Path(scratch) / "files"
        _git(["init", "--quiet", "--template=", str(files)], transports)
        within = ["-C", str(files)]
        fetch = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", url, commit]
        _git(within + fetch, transports, url=url, commit=commit)
        _git([*within, "checkout", "--quiet", "--detach", commit], transports, url=url, commit=commit)
        shutil.rmtree(files / ".git")
        try:
            files.rename(folder)
        except OSError:
            # Another process was faster: its files are those of the same commit.
            if not folder.is_dir():
                raise


def _git(arguments: Sequence[str], transports: Sequence[str], *, url: str = "", commit: str = "") -> None:
    # A hook or an alias may have set GIT_DIR and the like: they would point git at another repository.
    kept = ("GIT_SSL_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH")
    scrubbed = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(kept)}
    environment = {
        **scrubbed,
        "GIT_ALLOW_PROTOCOL": ":".join(transports),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "LC_ALL": "C",
    }
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *settings, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise DatasetError(
            "git is not installed", help="install it, or give a copy: --source NAME=PATH", code="dataset-git"
        ) from error
    if done.returncode == 0:
        return
    said = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}"
    if any(text in done.stderr for text in _NO_SUCH_COMMIT):
        raise DatasetError(f"{url} has no commit {commit}", help="check 'commit'", code="dataset-commit")
    raise StoreUnreachable(
        f"cannot fetch {url}: {said}", help="check the network, or give a local copy: --source NAME=PATH"
    )
