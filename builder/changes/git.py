"""What git says of a repository that nobody vouches for: its commits, its trees, its files. Reads only.

Nothing that the repository's own settings name is run: no hooks, no monitor of files, no filters (files of the working
tree are hashed here), no fetching of what a partial clone left out. Arguments that come from outside stand where git
cannot take them for options.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.errors import StoreUnreachable, UsageError
from builder.manifest.source import LARGEST_BYTES

FILE_MODES = ("100644", "100755")
"""Plain files: no links, no other repositories."""

MOST_BYTES_LISTED = 64 << 20
"""Of the names of a commit's files: half a million of them."""

_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.quotePath=false",
    "protocol.allow=never",
)
_PARTIAL = "if this clone is partial: make a whole one, without --filter"
_KEPT = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES")


@dataclass(frozen=True)
class Repository:
    """``top`` is the root of the working tree, None where there is none (a bare repository, or inside ``.git``).

    ``prefix`` leads from there to the working folder: empty, or ending with a slash. ``hash_name``: of object ids.
    ``shallow``: its history was cut off.
    """

    git_dir: Path
    top: Path | None
    prefix: str
    hash_name: str
    shallow: bool


@dataclass(frozen=True)
class Entry:
    """A file of a tree."""

    mode: str
    id: str

    @property
    def plain(self) -> bool:
        return self.mode in FILE_MODES


def environment() -> dict[str, str]:
    """For git, and for what runs beside it: a hook or an alias has set GIT_DIR and the like, which name another
    repository."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in _KEPT}
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
    }


def run(
    arguments: Sequence[str], *, folder: Path | None = None, git_dir: Path | None = None, data: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """git in ``folder``, for the repository ``git_dir`` if that is given. UsageError if there is no git."""
    try:
        return subprocess.run(
            [*_command(git_dir), *arguments],
            cwd=folder or git_dir,
            env=environment(),
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        if folder is not None and not folder.is_dir():
            raise UsageError(f"there is no folder {folder}") from error
        raise UsageError("git is not installed", help="install git (Debian: apt-get install git)") from error


def _command(git_dir: Path | None) -> list[str]:
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    named = [f"--git-dir={git_dir}"] if git_dir is not None else []
    return ["git", "--literal-pathspecs", *named, *settings]


@contextmanager
def open_batch(repository: Repository) -> Iterator[subprocess.Popen[bytes]]:
    """``git cat-file --batch``, to be asked for one object after the other."""
    with subprocess.Popen(
        [*_command(repository.git_dir), "cat-file", "--batch"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def find(folder: Path) -> Repository:
    """The repository that ``folder`` lies in. UsageError if there is none, or git does not trust it."""
    asked = ["--is-inside-work-tree", "--is-shallow-repository", "--show-object-format", "--absolute-git-dir"]
    done = run(["rev-parse", *asked, "--show-cdup", "--show-prefix"], folder=folder)
    if done.returncode != 0:
        what = "is in no git repository" if b"not a git repository" in done.stderr else f"cannot be used: {said(done)}"
        raise UsageError(f"{folder.absolute()} {what}", help="run this in a clone of the repository with the manifests")
    inside, shallow, hash_name, git_dir, *rest = os.fsdecode(done.stdout).split("\n")
    working = inside == "true"
    return Repository(
        git_dir=Path(git_dir),
        top=(folder / rest[0]).resolve() if working else None,
        prefix=rest[1] if working else "",
        hash_name=hash_name,
        shallow=shallow == "true",
    )


def at(git_dir: Path) -> Repository:
    """The repository ``git_dir``, without a working tree whatever it has. UsageError if it is none."""
    done = run(["rev-parse", "--is-shallow-repository", "--show-object-format"], git_dir=git_dir)
    if done.returncode != 0:
        raise UsageError(f"{git_dir} is no git repository: {said(done)}")
    shallow, hash_name, *_ = done.stdout.decode().split("\n")
    return Repository(git_dir, None, "", hash_name, shallow == "true")


def commit(repository: Repository, revision: str) -> str | None:
    """The id of the commit that ``revision`` names; None for an id of zeros, git's word for "nothing".

    UsageError if it names none.
    """
    if revision and not revision.strip("0") and len(revision) in (40, 64):
        return None
    if not revision or revision.startswith("-") or not revision.isprintable():
        raise UsageError(f"{revision[:200]!a} is no revision", help="a branch, a tag or a commit, such as origin/main")
    done = _in(repository, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"])
    found = done.stdout.decode().strip()
    if done.returncode == 0 and not found.startswith("^"):  # git takes ^HEAD, all but HEAD, for one revision, too
        return found
    if repository.shallow:
        raise UsageError(
            f"this shallow clone does not have the revision {revision[:200]!a}",
            help="fetch the whole history: git fetch --unshallow; for actions/checkout: fetch-depth: 0",
            code="unknown-revision",
        )
    raise UsageError(
        f"the repository has no revision {revision[:200]!a}",
        help="git log --oneline; one range (a..b) is two revisions: --since a --to b",
        code="unknown-revision",
    )


def tree(repository: Repository, commit_id: str, paths: Iterable[str]) -> dict[str, Entry]:
    """The files of a commit that are one of ``paths`` or lie below one; all of them if there are no ``paths``.

    UsageError for more than MOST_BYTES_LISTED of them.
    """
    found = {}
    for line in _listed(repository, ["ls-tree", "-r", "-z", "--full-tree", commit_id, "--", *paths], commit_id):
        (mode, _, id), path = line[: (tab := line.index("\t"))].split(" "), line[tab + 1 :]
        found[path] = Entry(mode, id)
    return found


def _listed(repository: Repository, arguments: Sequence[str], what: str) -> list[str]:
    """What git lists, each up to a NUL. UsageError beyond MOST_BYTES_LISTED: trees of a few kilobytes, each of them
    many times in the one above, list more files than any memory holds."""
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            [*_command(repository.git_dir if repository.top is None else None), *arguments],
            cwd=repository.top or repository.git_dir,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        assert process.stdout is not None
        data = process.stdout.read(MOST_BYTES_LISTED + 1)
        if len(data) > MOST_BYTES_LISTED:
            process.kill()
            raise UsageError(f"{what} lists more files than are looked at: {MOST_BYTES_LISTED:,} bytes of names")
        status = process.wait()
        complaints.seek(0)
        done = subprocess.CompletedProcess(arguments, status, data, complaints.read(1 << 16))
    if status != 0:
        raise StoreUnreachable(f"git cannot list {what}: {said(done)}")
    return os.fsdecode(data).split("\0")[:-1]


def working_files(repository: Repository, paths: Sequence[str]) -> list[str]:
    """Paths, from the root, of the plain files of the working tree at or below ``paths``, but for ignored ones."""
    assert repository.top is not None, "asked only where there is a working tree"
    asked = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    done = run(asked, folder=repository.top)
    if done.returncode != 0:
        raise StoreUnreachable(f"git cannot list the files of {repository.top}: {said(done)}")
    return [path for path in sorted(set(os.fsdecode(done.stdout).split("\0"))) if path]


def blobs(repository: Repository, ids: Iterable[str]) -> dict[str, bytes]:
    """The contents of files by their ids; of one that no manifest can be for its size as many zero bytes.

    StoreUnreachable if one is missing, as in a partial clone.
    """
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    sizes = {id: int(size) for id, size in _checked(repository, wanted)}
    small = [id for id in wanted if sizes[id] <= LARGEST_BYTES]
    found = {id: bytes(LARGEST_BYTES + 1) for id in wanted if sizes[id] > LARGEST_BYTES}
    data = _in(repository, ["cat-file", "--batch"], "".join(f"{id}\n" for id in small).encode()).stdout
    place = 0
    for id in small:
        start = data.index(b"\n", place) + 1
        found[id] = data[start : start + sizes[id]]
        place = start + sizes[id] + 1
    return found


def _checked(repository: Repository, ids: Sequence[str]) -> Iterable[tuple[str, str]]:
    asked = "".join(f"{id}\n" for id in ids).encode()
    done = _in(repository, ["cat-file", "--batch-check"], asked)
    lines = done.stdout.decode().splitlines()
    if done.returncode != 0 or len(lines) != len(ids):
        raise StoreUnreachable(f"git cannot read the repository: {said(done)}", help=_PARTIAL)
    for line in lines:
        id, kind, *size = line.split(" ")
        if kind != "blob":
            raise StoreUnreachable(f"the repository lacks the object {id}", help=_PARTIAL)
        yield id, size[0]


def id_of(data: bytes, hash_name: str) -> str:
    """The id that git gives to a file of these bytes."""
    hasher = hashlib.new(hash_name, b"blob %d\0" % len(data), usedforsecurity=False)
    hasher.update(data)
    return hasher.hexdigest()


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last line of what git complained about."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def _in(
    repository: Repository, arguments: Sequence[str], data: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    # By its folder, so that git judges for itself whether whoever owns the repository may be trusted.
    if repository.top is not None:
        return run(arguments, folder=repository.top, data=data)
    return run(arguments, git_dir=repository.git_dir, data=data)
