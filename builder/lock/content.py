"""The digest of a dataset: over the files themselves, the same by whatever way they came."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.digest import Digest, digest_file, digest_json, hex_of
from builder.errors import DatasetError

_GIT = ".git"


@dataclass(frozen=True)
class Content:
    """``digest`` over the sorted (path, size, sha256) of all files; ``bytes`` is the sum of their sizes."""

    digest: Digest
    files: int
    bytes: int


def dataset_digest(
    root: Path, folders: Iterable[str], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Content:
    """The content of ``folders`` (relative to ``root``); everything else below ``root`` is left out.

    DatasetError if a folder is missing or all are empty, if a link leads out of ``root`` or to a folder, or if
    there is something that is not a file.
    """
    try:
        base = root.resolve(strict=True)
        paths = {path for folder in folders for path in _files(base, PurePosixPath(folder))}
        entries, total = [], 0
        for path in sorted(paths, key=str):
            size = (base / path).stat().st_size
            entries.append({"path": str(path), "size": size, "sha256": hex_of(digest_file(base / path))})
            total += size
        if not entries:
            raise DatasetError(f"no file in {root}", code="dataset-empty")
        return Content(digest_json(entries), len(entries), total)
    except OSError as error:
        raise DatasetError(f"cannot read {error.filename or root}: {error.strerror}", code="dataset-folder") from error
    except UnicodeEncodeError as error:
        raise DatasetError(f"a file name in {root} is not UTF-8", code="dataset-file") from error


def _files(base: Path, folder: PurePosixPath) -> Iterator[PurePosixPath]:
    """Every file below ``folder``, relative to ``base``."""
    top = base / folder
    if not top.is_dir():
        raise DatasetError(
            f"the source has no folder {str(folder)!r}: {base}",
            help="see 'images' and 'annotations' in the manifest's dataset section",
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
