"""The digest of a dataset: over the files themselves, the same by whatever way they came."""

from __future__ import annotations

import builtins
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.digest import Digest, canonical_json, digest_bytes, digest_file, hex_of
from builder.errors import DatasetError
from builder.lock.globs import counts

_GIT = ".git"
_THREADS = 4
"""Hashing lets go of Python's lock, and waiting for a disk can be shared."""


@dataclass(frozen=True)
class Content:
    """``listing`` is the sorted (path, size, sha256) of all files in canonical JSON, ``digest`` that of the listing;
    ``bytes`` is the sum of the files' sizes."""

    digest: Digest
    files: int
    bytes: int
    listing: builtins.bytes


def dataset_digest(
    root: Path, paths: Iterable[str], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Content:
    """The content of ``paths``, files and folders within ``root``; of these, what the globs leave out does not count.

    DatasetError if one of them is missing or nothing is left, if a link leads out of ``root`` or to a folder, or if
    there is something that is not a file.
    """
    try:
        base = root.resolve(strict=True)
        names = sorted(str(path) for path in counting(base, paths, include, exclude))
        with ThreadPoolExecutor(_THREADS) as pool:
            entries = list(pool.map(lambda name: _entry(base, name), names))
        if not entries:
            raise DatasetError(f"no file in {root}", code="dataset-empty")
        listing = canonical_json(entries)
        size = sum(int(entry["size"]) for entry in entries)
        return Content(digest_bytes(listing), len(entries), size, listing)
    except OSError as error:
        raise DatasetError(f"cannot read {error.filename or root}: {error.strerror}", code="dataset-folder") from error
    except UnicodeEncodeError as error:
        raise DatasetError(f"a file name in {root} is not UTF-8", code="dataset-file") from error


def counting(
    base: Path, paths: Iterable[str], include: Sequence[str], exclude: Sequence[str]
) -> Iterator[PurePosixPath]:
    """The files that count, relative to ``base``, in no order, each once. Errors as for ``dataset_digest``."""
    seen = {path for name in paths for path in _files(base, PurePosixPath(name))}
    return (path for path in seen if counts(str(path), include, exclude))


def _entry(base: Path, name: str) -> dict[str, str | int]:
    path = base / name
    # The digest of the bytes as they are read now, and of just those.
    return {"path": name, "size": path.stat().st_size, "sha256": hex_of(digest_file(path))}


def _files(base: Path, folder: PurePosixPath) -> Iterator[PurePosixPath]:
    """The file ``folder``, or every file below it, relative to ``base``."""
    top = base / folder
    if top.is_file():
        _check_inside(base, top)
        yield folder
        return
    if not top.is_dir():
        raise DatasetError(
            f"the source has no file or folder {str(folder)!r}: {base}",
            help="see the paths in the manifest's dataset section, such as 'images' and 'annotations'",
            code="dataset-folder",
        )
    _check_inside(base, top)
    for place, folders, names in os.walk(top, onerror=_raise):
        folders[:] = sorted(name for name in folders if name != _GIT)
        for name in folders:
            if (Path(place) / name).is_symlink():
                raise DatasetError(f"{Path(place) / name} is a link to a folder", code="dataset-link")
        for name in names:
            path = Path(place) / name
            if name == _GIT:
                continue
            _check_inside(base, path)
            if not stat.S_ISREG(path.stat().st_mode):
                raise DatasetError(f"{path} is not a file", code="dataset-file")
            yield PurePosixPath(path.relative_to(base).as_posix())


def _check_inside(base: Path, path: Path) -> None:
    # realpath, since Path.resolve makes a RuntimeError of a link to itself.
    if not Path(os.path.realpath(path, strict=True)).is_relative_to(base):
        raise DatasetError(
            f"{path} is a link that leads out of the source", help="copy the data instead", code="dataset-link"
        )


def _raise(error: OSError) -> None:
    raise error
