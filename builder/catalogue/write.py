"""A site in its folder: whole or not at all, and never over files that are not the site's own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from builder.errors import IntegrityError, UsageError
from builder.registry.pull import cleared, scratch_in
from builder.release.files import read_regular
from builder.trust.document import read_json

LIST = "catalogue.json"
"""What a site says of itself for programs; that it lists a folder's files shows that the folder is a site."""

_LARGEST = 256 << 20


@contextmanager
def room_for(folder: Path) -> Iterator[Path]:
    """A folder beside the final place, for what a site is made of. UsageError if ``folder`` cannot be replaced."""
    check_replaceable(folder)
    above = folder.resolve().parent
    with cleared(above), scratch_in(above) as scratch:
        yield scratch


def check_replaceable(folder: Path) -> None:
    """UsageError unless ``folder`` is new, empty, or holds a site and nothing else."""
    if not folder.exists():
        if folder.is_symlink():
            raise UsageError(f"{folder} is a link to nothing")
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    there = set(_files(folder))
    if foreign := sorted(there - _listed(folder)):
        raise UsageError(
            f"{folder} has files that no site put there: {', '.join(foreign[:5])}"
            + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""),
            help="name a new folder",
        )


def write_site(pages: Mapping[str, bytes], files: Mapping[str, Path], folder: Path, scratch: Path) -> None:
    """Puts ``pages`` and ``files`` (paths in the site, with bytes or where those lie) into ``folder``, replacing the
    site there. ``scratch`` as ``room_for`` gave it. After an error all is as it was."""
    stage = scratch / "site"
    stage.mkdir()
    for path, data in pages.items():
        target = _made(stage, path)
        target.write_bytes(data)
        target.chmod(0o644)
    for path, source in files.items():
        target = _made(stage, path)
        try:
            os.link(source, target)
        except OSError:  # a file system without links
            shutil.copyfile(source, target)
        target.chmod(0o644)
    check_replaceable(folder)
    _exchange(stage, folder.resolve(), scratch / "before")


def _exchange(stage: Path, folder: Path, before: Path) -> None:
    """Renames ``stage`` to ``folder``; what was there goes to ``before``."""
    stage.chmod(0o755)
    if not folder.exists():
        stage.rename(folder)
        return
    folder.rename(before)
    try:
        stage.rename(folder)
    except BaseException:
        before.rename(folder)
        raise


def _made(stage: Path, path: str) -> Path:
    target = stage / path
    for parent in reversed(target.relative_to(stage).parents[:-1]):
        (stage / parent).mkdir(exist_ok=True)
        (stage / parent).chmod(0o755)
    return target


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(folder).as_posix()


def _listed(folder: Path) -> set[str]:
    """The files that the site in ``folder`` says it has; none if there is no site."""
    try:
        document = read_json(read_regular(folder / LIST, _LARGEST), LIST, largest=_LARGEST)
        return {str(path) for path in document["files"]} if document["tinsmith"] == "site" else set()
    except FileNotFoundError:
        return set()
    except (KeyError, TypeError, IntegrityError) as error:
        raise UsageError(f"{folder / LIST} is not that of a site", help="name a new folder") from error


def listing(document: Mapping[str, object], paths: list[str]) -> bytes:
    """catalogue.json: ``document``, and all files of the site."""
    whole = {"tinsmith": "site", "format": 1, **document, "files": sorted([*paths, LIST])}
    return (json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
