"""Which files are manifests."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from builder.errors import UsageError
from builder.lock.place import lock_path
from builder.manifest.source import read_data
from builder.plan.summary import Texts

DEFAULT = "manifests"
SUFFIX = ".yaml"

_FOUND = re.compile(rb"""^[ \t]*[{,]?[ \t]*(["']?)(schema|dataset|model)\1[ \t]*:""", re.MULTILINE)
_TOP = re.compile(rb"""^(["']?)(schema|dataset|model)\1[ \t]*:""", re.MULTILINE)


def is_manifest(data: bytes) -> bool:
    """Does a YAML file look like a manifest: two of 'schema', 'dataset' and 'model' among its top-level keys?

    Not all three, so that a mistyped key makes an invalid manifest, and not one that is passed over. Nothing is parsed:
    the file may be anything.
    """
    body = data.removeprefix(b"\xef\xbb\xbf")
    pattern = _FOUND if body.lstrip().startswith(b"{") else _TOP
    return len({found.group(2) for found in pattern.finditer(body)}) >= 2


def asked_paths(given: Sequence[Path], prefix: str, top: Path | None) -> list[str]:
    """``given`` paths (the folder of manifests if none) from the root of the repository.

    ``prefix`` leads from there to the working folder. UsageError for one that lies elsewhere.
    """
    return [_inside(os.fspath(path), prefix, top) for path in given or [Path(DEFAULT)]]


def _inside(path: str, prefix: str, top: Path | None) -> str:
    if posixpath.isabs(path):
        whole = Path(path)
        # The folder as the system has it, but not what the last name links to.
        real = os.path.join(os.path.realpath(whole.parent), whole.name)  # noqa: PTH118
        found = os.path.relpath(real, top) if top is not None else ".."
    else:
        found = posixpath.normpath(posixpath.join(prefix, path))
    if found == ".." or found.startswith("../"):
        raise UsageError(f"{path} lies outside the repository")
    return found


def chosen(files: Iterable[str], asked: Sequence[str]) -> tuple[list[str], set[str]]:
    """Of ``files``, those to look at: what is named itself, and every .yaml below a folder that is named.

    The second answer are the entries of ``asked`` that nothing was found for.
    """
    folders = tuple("" if path == "." else f"{path}/" for path in asked)
    named, found, missing = set(asked), [], set(asked)
    for file in files:
        above = [path for path, folder in zip(asked, folders, strict=True) if file.startswith(folder)]
        missing.difference_update(above)
        missing.discard(file)
        if file in named or (above and file.endswith(SUFFIX)):
            found.append(file)
    return found, missing


def shown(path: str, prefix: str) -> str:
    """A path from the root as one from the working folder."""
    return posixpath.relpath(path, prefix or ".") if prefix else path


def on_disk(place: Path) -> list[Texts]:
    """The manifest ``place``, or those below the folder that it is, each with its lock; no git is asked.

    UsageError for what cannot be read.
    """
    found = {place: read_data(place)} if not place.is_dir() else dict(_below(place))
    return [
        Texts(str(path), data, read_data(lock) if (lock := lock_path(path)).exists() else None)
        for path, data in found.items()
    ]


def _below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        if path.is_file() and not path.is_symlink() and is_manifest(data := read_data(path)):
            yield path, data
