"""Where a manifest's sources lie on this machine, and whether they hold what was locked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.digest import hex_of
from builder.errors import DatasetError, IntegrityError
from builder.fetch import fetch
from builder.fetch.checkout import HTTPS
from builder.lock.content import Content, counting, dataset_digest
from builder.lock.listing import changes, parse_listing
from builder.lock.model import Lock, LockedSource
from builder.manifest.datasource import Source
from builder.manifest.model import Manifest

Emit = Callable[[str, Mapping[str, Any]], None]


def locate(
    source: Source,
    manifest_path: Path | None,
    overrides: Mapping[str, Path],
    cache: Path,
    emit: Emit,
    *,
    transports: Sequence[str] = HTTPS,
) -> Path:
    """The folder of ``source``: an override, else a folder beside the manifest, else what is fetched into ``cache``.

    Errors: those of ``fetch``; DatasetError if there is no such folder, or no manifest that it could lie beside.
    """
    if source.name in overrides:
        return _folder(overrides[source.name], source.name, "check --source")
    if source.path is not None:
        if manifest_path is None:
            raise DatasetError(
                f"source {source.name} is a folder, {source.path!r}, that nobody can fetch",
                help=f"give a copy: --source {source.name}=PATH",
                code="dataset-source",
            )
        help = f"put the data there, or give a copy: --source {source.name}=PATH"
        return _folder(manifest_path.parent / source.path, source.name, help)
    try:
        return fetch(source, cache, emit, transports=transports)
    except OSError as error:
        raise DatasetError(f"cannot write to {cache}: {error.strerror}", code="dataset-cache") from error


def source_opener(
    manifest: Manifest,
    lock: Lock,
    manifest_path: Path | None,
    overrides: Mapping[str, Path],
    cache: Path,
    emit: Emit,
    release_files: Callable[[LockedSource], Path],
    keep: Callable[[bytes], object],
    *,
    known: Callable[[str], bytes | None] = lambda digest: None,
    transports: Sequence[str] = HTTPS,
) -> Callable[[str], Path]:
    """A function from a locked content's digest to a folder that holds it.

    Where globs leave files out, it is a folder of links to those that count, so that a step cannot see the others.

    It raises IntegrityError if a source holds anything else than what was locked, which names the first file that
    differs where ``known`` has the locked list of files, by its digest. ``release_files`` finds the weights of a
    release; what it gives is checked as well. ``keep`` takes the list of files of what was opened, whose digest is the
    locked one.
    """

    def opened(digest: str) -> Path:
        by_name = {source.name: source for source in manifest.sources}
        locked = next(item for item in (lock.dataset, lock.init) if item is not None and item.digest == digest)
        if locked.name in by_name:
            folder = locate(by_name[locked.name], manifest_path, overrides, cache, emit, transports=transports)
        else:
            folder = release_files(locked)
        if locked.include or locked.exclude:
            folder = _view(folder, locked, cache)
        found = dataset_digest(folder, locked.paths, locked.include, locked.exclude)
        if found.digest != locked.digest:
            raise _differs(locked, folder, found, known(digest), manifest_path)
        keep(found.listing)
        return folder

    return opened


def _view(folder: Path, locked: LockedSource, cache: Path) -> Path:
    """The files of ``folder`` that count, as hard links, or as copies where the cache lies on another disk."""
    view = cache / "views" / hex_of(locked.digest)
    shutil.rmtree(view, ignore_errors=True)
    base = folder.resolve()
    for path in counting(base, locked.paths, locked.include, locked.exclude):
        target = view / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(base / path, target)
        except OSError:
            shutil.copyfile(base / path, target)
    return view


def _differs(
    locked: LockedSource, folder: Path, found: Content, listing: bytes | None, manifest_path: Path | None
) -> IntegrityError:
    files = ""
    if listing is not None:  # whose digest is the locked one
        changed = list(changes(parse_listing(listing), parse_listing(found.listing)))
        files = f"; {changed[0]}" + (f", and {len(changed) - 1:,} more files differ" if len(changed) > 1 else "")
    help = "give the data that the release was made of"
    if manifest_path is not None:
        help = "restore the data; if it changed on purpose, remove the manifest's .lock and run: "
        help += f"tinsmith lock {manifest_path}"
    return IntegrityError(
        f"source {locked.name} in {folder} is not what was locked: expected {locked.digest} "
        f"({locked.files} files, {locked.bytes:,} bytes), "
        f"found {found.digest} ({found.files} files, {found.bytes:,} bytes){files}",
        help=help,
    )


def lock_source(source: Source, folder: Path, paths: Sequence[str]) -> LockedSource:
    """What ``paths`` of ``source``, which lies in ``folder``, hold now. Errors as for ``dataset_digest``."""
    found = dataset_digest(folder, paths, source.include, source.exclude)
    return LockedSource(
        name=source.name,
        digest=found.digest,
        files=found.files,
        bytes=found.bytes,
        paths=tuple(paths),
        include=source.include,
        exclude=source.exclude,
        origin=origin_of(source),
    )


def origin_of(source: Source) -> str | None:
    """What names the content of ``source`` for good, wherever it is fetched from; None for a folder."""
    if source.git is not None:
        return f"git:{source.commit}"
    if source.url is not None:
        return f"sha256:{source.sha256}"
    return f"oci:{source.oci.rpartition('@')[2]}" if source.oci is not None else None


def _folder(path: Path, name: str, help: str) -> Path:
    if not path.is_dir():
        raise DatasetError(f"source {name}: no folder {path}", help=help, code="dataset-source")
    return path
