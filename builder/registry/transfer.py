"""Many blobs at once, either way: several threads, each blob resumed, retried and hashed whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from builder.digest import hex_of
from builder.errors import IntegrityError
from builder.registry.auth import Access
from builder.registry.client import Registry
from builder.registry.receive import Emit, Meter, receive
from builder.registry.upload import Upload
from builder.registry.watch import BLOCK
from builder.registry.wire import Answer, Wire
from builder.release.files import holds, open_regular
from builder.release.release import Blob

THREADS = 4


def fetch_blobs(registry: Registry, repository: str, wanted: Mapping[Path, Blob], parts: Path, emit: Emit) -> None:
    """Writes each blob to its path. Errors as for ``receive``."""
    meter = Meter("fetched", sum(blob.size for blob in wanted.values()), emit)

    def fetch(path: Path, blob: Blob) -> None:
        url = registry.url(repository, "blobs", blob.digest)

        def opened(headers: Mapping[str, str]) -> AbstractContextManager[Answer]:
            return registry.ask("GET", url, Access(repository), headers, small=False)

        receive(opened, url, hex_of(blob.digest), blob.size, path, parts, registry.wire, meter)

    together(registry.wire, [partial(fetch, path, blob) for path, blob in _largest_first(wanted)])


def send_blobs(registry: Registry, repository: str, wanted: Mapping[Path, Blob], emit: Emit) -> int:
    """Writes what the registry has not yet, and says how many bytes that were.

    IntegrityError if a file has other bytes than its descriptor says.
    """
    meter = Meter("sent", sum(blob.size for blob in wanted.values()), emit)
    sent: list[int] = []

    def send(path: Path, blob: Blob) -> None:
        if registry.has_blob(repository, blob.digest, blob.size):
            meter.add(blob.size)
            return
        check_file(path, blob)
        Upload(registry, repository, blob, path, meter.add).run()
        sent.append(blob.size)

    together(registry.wire, [partial(send, path, blob) for path, blob in _largest_first(wanted)])
    return sum(sent)


def together(wire: Wire, work: Sequence[Callable[[], None]]) -> None:
    """Does all of ``work`` in ``THREADS`` threads. The first error ends what is under way, and is raised."""
    if len(work) <= 1:
        for each in work:
            each()
        return
    with ThreadPoolExecutor(min(THREADS, len(work))) as pool:
        futures = [pool.submit(each) for each in work]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [future for future in done if future.exception() is not None]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            wire.stop()
            raise
        if failed:
            pool.shutdown(wait=False, cancel_futures=True)
            wire.stop()
            error = failed[0].exception()
            assert error is not None
            raise error


def check_file(path: Path, blob: Blob) -> None:
    """IntegrityError unless ``path`` holds the bytes of ``blob``."""
    try:
        right = holds(path, blob)
    except FileNotFoundError:
        raise IntegrityError(f"the blob {blob.digest} is not at {path}") from None
    if not right:
        raise IntegrityError(f"{path} has other bytes than its name says", help="make or pull the release again")


def copy_blob(source: Path, target: Path, blob: Blob) -> None:
    """Copies a blob, hashed on the way. IntegrityError if it has other bytes, or is no file."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open_regular(source) as read, target.open("xb") as write:
            while size <= blob.size and (block := read.read(BLOCK)):
                digest.update(block)
                size += len(block)
                write.write(block)
    except FileNotFoundError:
        raise IntegrityError(f"the blob {blob.digest} is not at {source}") from None
    if digest.hexdigest() != hex_of(blob.digest) or size != blob.size:
        raise IntegrityError(f"{source} has other bytes than its name says")


def _largest_first(wanted: Mapping[Path, Blob]) -> list[tuple[Path, Blob]]:
    return sorted(wanted.items(), key=lambda item: -item[1].size)
