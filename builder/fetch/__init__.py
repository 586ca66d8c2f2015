"""Gets what a source names into the cache, once, from the first of its addresses that gives the right bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from builder.digest import digest_json, hex_of
from builder.errors import IntegrityError, StoreUnreachable, TinsmithError
from builder.fetch.archive import extract
from builder.fetch.checkout import HTTPS, checkout

Emit = Callable[[str, Mapping[str, Any]], None]


class Named(Protocol):
    """A source as a manifest names it; see builder.manifest.datasource.Source."""

    @property
    def git(self) -> str | None: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def sha256(self) -> str | None: ...
    @property
    def oci(self) -> str | None: ...
    @property
    def mirrors(self) -> Sequence[str]: ...


def fetch(source: Named, cache: Path, emit: Emit, *, transports: Sequence[str] = HTTPS) -> Path:
    """The folder in ``cache`` with the files of ``source``, which appears whole or not at all.

    Its addresses are tried in turn. StoreUnreachable if none can be reached, IntegrityError if the last that could
    gave other bytes, DatasetError if what came is no archive that can be unpacked safely.
    """
    if source.git is not None:
        identity: dict[str, Any] = {"git": source.git, "commit": source.commit}
        addresses = (source.git, *source.mirrors)
    elif source.url is not None:
        identity, addresses = {"sha256": source.sha256}, (source.url, *source.mirrors)
    else:
        repository, _, digest = str(source.oci).rpartition("@")
        identity, addresses = {"oci": digest}, (repository, *source.mirrors)
    folder = cache / "sources" / hex_of(digest_json(identity))
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    failures: list[TinsmithError] = []
    for address in addresses:
        emit("message", {"text": f"fetching {address}"})
        try:
            _fetch_one(source, address, folder, cache, emit, transports)
            return folder
        except (StoreUnreachable, IntegrityError) as error:
            failures.append(error)
            if len(addresses) > 1:
                emit("message", {"text": f"{address}: {error.message}"})
    raise next((error for error in failures if isinstance(error, IntegrityError)), failures[-1])


def _fetch_one(source: Named, address: str, folder: Path, cache: Path, emit: Emit, transports: Sequence[str]) -> None:
    if source.git is not None:
        checkout(address, str(source.commit), folder, transports=transports)
        return
    # Here and not above: most builds fetch nothing, and do not need all of HTTP for it.
    from builder.fetch.download import download
    from builder.fetch.oci import pull_artifact

    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as scratch:
        files = Path(scratch) / "files"
        files.mkdir()
        if source.url is not None:
            archive = download(address, str(source.sha256), cache / "downloads", emit)
            extract(archive, files, emit)
            archive.unlink()
        else:
            pull_artifact(address, str(source.oci).rpartition("@")[2], files, cache / "downloads", emit)
        _put(files, folder)


def _put(files: Path, folder: Path) -> None:
    try:
        files.rename(folder)
    except OSError:
        # Another process was faster: its files came from the same bytes.
        if not folder.is_dir():
            raise
        shutil.rmtree(files, ignore_errors=True)
