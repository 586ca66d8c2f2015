"""A compiled build as a folder: whole or not at all, the data checked on the way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.compile.assemble import checksums
from builder.compile.dockerfile import HEADER, data_folder
from builder.digest import Digest, digest_bytes, parse_digest
from builder.errors import IntegrityError, UsageError

SUMS = "SHA256SUMS"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """The files of a locked source: where they lie, and their list, whose digest is the locked one."""

    folder: Path
    listing: bytes

    @property
    def digest(self) -> Digest:
        return digest_bytes(self.listing)

    def files(self) -> Iterator[tuple[str, Digest, int]]:
        """(path, digest, size in bytes) of each. IntegrityError if a path leads out of the folder."""
        for entry in json.loads(self.listing):
            path = PurePosixPath(entry["path"])
            if path.is_absolute() or ".." in path.parts or str(path) != entry["path"]:
                raise IntegrityError(f"the source {self.digest} names a file {entry['path']!a:.100}")
            yield str(path), parse_digest(f"sha256:{entry['sha256']}"), int(entry["size"])


def write_context(target: Path, files: Mapping[str, bytes], sources: list[Source]) -> None:
    """Writes a context into the folder ``target``, which is checked by ``check_free`` beforehand.

    IntegrityError if a file of ``sources`` is no longer what its list says.
    """
    with _replacing(target) as folder:
        write_files(folder, files, sources)


def write_files(folder: Path, files: Mapping[str, bytes], sources: list[Source]) -> None:
    """The files of a context into the empty ``folder``, with a list of their digests."""
    digests = {}
    for name, data in files.items():
        path = _place(folder, name)
        path.write_bytes(data)
        path.chmod(0o644)
        digests[name] = digest_bytes(data)
    for source in sources:
        for name, digest, _ in source.files():
            place = f"{data_folder(source.digest)}/{name}"
            copy_checked(source.folder / name, _place(folder, place), digest)
            digests[place] = digest
    (folder / SUMS).write_bytes(checksums(digests))
    (folder / SUMS).chmod(0o644)
    for place, _, _ in os.walk(folder):  # whatever the umask: a step is not the user who copied them
        Path(place).chmod(0o755)


def copy_checked(source: Path, target: Path, digest: Digest) -> None:
    """A copy that anyone may read. IntegrityError if the bytes do not have ``digest``."""
    found = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            found.update(block)
            writing.write(block)
    target.chmod(0o644)
    if f"sha256:{found.hexdigest()}" != digest:
        raise IntegrityError(f"{source} changed while it was copied", help="run the command again")


def check_free(target: Path) -> None:
    """UsageError unless ``target`` is absent, empty, or holds just what an earlier compilation wrote."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError(f"{target} is not a folder", help="give -o a new folder")
    if target.exists() and any(target.iterdir()):
        folders = [target] if (target / SUMS).exists() else sorted(target.iterdir())
        for folder in folders:
            _check_ours(folder)


def _check_ours(folder: Path) -> None:
    refused = UsageError(f"{folder} holds other files than a compiled build", help="give -o a new folder")
    try:
        listed = (folder / SUMS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        if not (folder / "Dockerfile").read_text(encoding="utf-8").startswith(HEADER):
            raise refused
    except (OSError, ValueError):
        raise refused from None
    known = {line.partition("  ")[2] for line in listed if not line.startswith("\\")}
    count = len([line for line in listed if line.startswith("\\")])  # names that are written in another way there
    strange = [name for name in _files_below(folder) if name not in known and name != SUMS]
    if len(strange) > count:
        raise UsageError(
            f"{folder} holds {strange[0]!r}, which no compilation wrote", help="move it away, or give -o a new folder"
        )


def _files_below(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from ((Path(place) / name).relative_to(folder).as_posix() for name in names)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` that takes its place in the end; nothing is left of it on an error."""
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        made, old = Path(scratch) / "new", Path(scratch) / "old"
        made.mkdir()
        yield made
        if target.exists():
            target.rename(old)
        made.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
