"""Data and weights on their way to the workers: each file a blob of the shared store, the list of them, whose digest is
the one in the lock, and last of all a mark that says so."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from builder.digest import Digest, canonical_json, digest_bytes, hex_of
from builder.engine.base import Emit
from builder.errors import DatasetError, IntegrityError
from builder.lock.content import dataset_digest
from builder.lock.listing import parse_listing
from builder.store.base import Store

_TRANSFERS = 16
"""At once: most of the time of a small file is waiting for the store."""
_UNUSED_SECONDS = 14 * 86400.0


def is_published(digest: Digest, store: Store) -> bool:
    """Whether the files of the listing ``digest`` were put into ``store``; nobody has looked whether they still are."""
    return store.has(digest_bytes(_mark(digest)))


def _mark(digest: Digest) -> bytes:
    return canonical_json({"published": digest})


def publish(folder: Path, listing: bytes, store: Store, emit: Emit) -> None:
    """Puts the files of ``listing``, which lie in ``folder``, into ``store``, and last of all the list and its mark.

    IntegrityError if a file has changed since it was listed.
    """
    files = parse_listing(listing)

    def put(item: tuple[str, str]) -> None:
        path, sha256 = item
        digest = Digest(f"sha256:{sha256}")
        if not store.has(digest) and store.write(folder / path) != digest:
            raise IntegrityError(f"{folder / path} changed while it was sent to the store", help="build again")

    with ThreadPoolExecutor(_TRANSFERS) as pool:
        for count, _ in enumerate(pool.map(put, files.items()), 1):
            if count % 1000 == 0:
                emit("message", {"text": f"{count:,} of {len(files):,} files are in the store"})
    store.write_bytes(_mark(store.write_bytes(listing)))


def materialise(digest: Digest, store: Store, cache: Path) -> Path:
    """The folder below ``cache`` with the files of the listing ``digest``, fetched from ``store`` where they are not
    there yet, and hashed.

    IntegrityError if the store has not all of them, or other bytes.
    """
    folder = cache / "sources" / hex_of(digest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_suffix(".lock")):
        if not _holds(folder, digest):
            unfinished = folder.with_suffix(".part")
            for old in (unfinished, folder):
                shutil.rmtree(old, ignore_errors=True)
            _fetch(digest, store, unfinished)
            unfinished.rename(folder)
        os.utime(folder)
        _sweep(folder.parent)
    return folder


def _sweep(root: Path) -> None:
    """Removes the folders that no step has read for long."""
    for path in root.iterdir():
        with contextlib.suppress(OSError):
            if path.is_dir() and time.time() - path.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(path)


def _fetch(digest: Digest, store: Store, folder: Path) -> None:
    try:
        files = parse_listing(store.read(digest))
    except ValueError as error:
        raise IntegrityError(f"{digest} is no list of files: {error}") from error
    for path in files:
        plain = PurePosixPath(path)
        if plain.is_absolute() or ".." in plain.parts or str(plain) != path:
            raise IntegrityError(f"{digest} lists a file outside its folder: {path!a}")
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        fetched = pool.map(
            lambda item: store.copy_to(Digest(f"sha256:{item[1]}"), folder / item[0]), files.items()
        )  # fmt: skip
        for _ in fetched:
            pass


def _holds(folder: Path, digest: Digest) -> bool:
    """Whether ``folder`` has the files of the listing ``digest``, and no other."""
    if not folder.is_dir():
        return False
    try:
        return dataset_digest(folder, sorted(path.name for path in folder.iterdir())).digest == digest
    except DatasetError:
        return False


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Workers of one machine share its cache."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
