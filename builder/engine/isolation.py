"""Keeps a local process from the network and from what it has no business to write, as far as Linux lets us.

What is possible depends on the machine (root, user namespaces, being in a container): it is tried once,
strongest first, and what held is what is used and what is said.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_NO_FILES = frozenset({"nsfs", "autofs"})
_LEFT_ALONE = ("/proc", "/sys", "/dev")
_KEPT_OPTIONS = frozenset({"nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime"})
"""Mount options that a remount must repeat: the kernel may refuse to drop them."""


@dataclass(frozen=True)
class Isolation:
    """``files``: ``all`` is read-only but the writable folders; or just the inputs are; or nothing is."""

    user_namespace: bool = False
    network: bool = False
    processes: bool = False
    files: Literal["all", "inputs", "none"] = "none"
    dies_with_parent: bool = False

    def __str__(self) -> str:
        files = {
            "all": "read-only file system but for its output",
            "inputs": "read-only inputs",
            "none": "files NOT protected",
        }[self.files]
        parts = [
            "no network" if self.network else "network NOT cut",
            files,
            "own process tree" if self.processes else "processes NOT separated",
            "scrubbed environment",
            "memory watched",
        ]
        return ", ".join(parts)


@functools.cache
def strongest() -> Isolation:
    """The strongest isolation that works here, found by trying."""
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("mount"):
        return Isolation(dies_with_parent=_has_setpriv())
    user = os.geteuid() != 0
    wanted = (
        Isolation(user, network=True, processes=True, files="all"),
        Isolation(user, network=True, processes=True, files="inputs"),
        Isolation(user, network=True, files="all"),
        Isolation(user, network=True, files="inputs"),
        Isolation(user, network=True),
    )
    for isolation in wanted:
        found = Isolation(**{**isolation.__dict__, "dies_with_parent": _has_setpriv()})
        if _works(found):
            return found
    return Isolation(dies_with_parent=_has_setpriv())


def isolated(
    isolation: Isolation, command: Sequence[str], read_only: Sequence[Path], writable: Sequence[Path]
) -> list[str]:
    """``command`` wrapped so that it runs under ``isolation``; every path must be absolute and exist."""
    wrapped: list[str] = []
    if isolation.dies_with_parent:
        # Even a killed tinsmith leaves no step running behind.
        wrapped += ["setpriv", "--pdeathsig", "KILL", "--no-new-privs"]
    if isolation.network:
        wrapped += ["unshare", "--net"]
        wrapped += ["--user", "--map-root-user"] if isolation.user_namespace else []
        wrapped += ["--pid", "--fork", "--kill-child", "--mount-proc"] if isolation.processes else []
        wrapped += ["--mount"] if isolation.files != "none" else []
    if isolation.files != "none":
        # The shell stays: as the first process of a namespace, the step could not be killed by its own signals.
        script = _mounts(isolation, read_only, writable) + '\n"$@" || exit $?'
        wrapped += ["sh", "-euc", script, "step"]
    return [*wrapped, *command]


def _has_setpriv() -> bool:
    return sys.platform == "linux" and shutil.which("setpriv") is not None


def _mounts(isolation: Isolation, read_only: Sequence[Path], writable: Sequence[Path]) -> str:
    """Shell lines that lay the mounts. Writable folders get mounts of their own before the rest is closed."""
    lines = [f"mount -n --bind {shlex.quote(str(path))} {shlex.quote(str(path))}" for path in writable]
    table = _mount_table()
    if isolation.files == "all":
        closed = {point: options for point, options in table.items() if not _under(point, _LEFT_ALONE)}
    else:
        closed = {str(path): _options_at(path, table) for path in read_only}
        lines += [f"mount -n --bind {shlex.quote(path)} {shlex.quote(path)}" for path in closed]
    for point, options in closed.items():
        flags, quoted = ",".join(["remount", "bind", "ro", *options]), shlex.quote(point)
        # A mount that went away since the table was read needs no closing.
        lines.append(f"mount -n -o {flags} {quoted} || ! mountpoint -q {quoted}")
    return "\n".join(lines)


def _mount_table() -> dict[str, list[str]]:
    """Mount point -> those of its options that a remount repeats; where mounts are stacked, the top one's."""
    table = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, (kind, *_) = (part.split(" ") for part in line.split(" - "))
        if kind in _NO_FILES:
            continue
        point = fields[4].encode().decode("unicode_escape")
        table[point] = sorted(_KEPT_OPTIONS.intersection(fields[5].split(",")))
    return table


def _options_at(path: Path, table: dict[str, list[str]]) -> list[str]:
    return next(table[str(folder)] for folder in (path, *path.parents) if str(folder) in table)


def _under(point: str, folders: Sequence[str]) -> bool:
    return any(point == folder or point.startswith(folder + "/") for folder in folders)


def _works(isolation: Isolation) -> bool:
    """Runs a small shell under ``isolation`` and sees for itself what it may write."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-probe-") as folder:
        closed, opened = Path(folder).resolve() / "closed", Path(folder).resolve() / "open"
        closed.mkdir()
        opened.mkdir()
        test = f"touch {shlex.quote(str(opened))}/yes"
        if isolation.files != "none":
            test += f" && ! touch {shlex.quote(str(closed))}/no 2>/dev/null"
        command = isolated(isolation, ["sh", "-c", test], [closed], [opened])
        try:
            done = subprocess.run(command, capture_output=True, timeout=20, check=False)
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0
