"""One blob or file from the network: continued where it broke off, and hashed whole before it gets its name.

It grows as ``<hex>.part`` in a folder of the cache, which outlives a pull that breaks off.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from builder.errors import IntegrityError, StoreUnreachable
from builder.registry.watch import BLOCK
from builder.registry.wire import Answer, Unfinished, Wire

Emit = Callable[[str, Mapping[str, Any]], None]

LARGEST_BLOB = 500 * 10**9
_SAY_EVERY = 2.0
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class Meter:
    """Bytes moved by all threads together, told now and then. ``total`` may be unknown."""

    def __init__(self, verb: str, total: int | None, emit: Emit) -> None:
        self._verb, self._total, self._emit = verb, total, emit
        self._done, self._said = 0, time.monotonic()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """``count`` is below zero where bytes have to be moved again."""
        with self._lock:
            self._done += count
            if time.monotonic() - self._said < _SAY_EVERY:
                return
            self._said = time.monotonic()
            text = f"{self._verb} {self._done / 1e6:,.0f} MB"
            if self._total:
                share = min(100, 100 * self._done // self._total)
                text = f"{self._verb} {self._done / 1e6:,.0f} of {self._total / 1e6:,.0f} MB ({share} %)"
            self._emit("message", {"text": text})


def receive(
    opened: Callable[[Mapping[str, str]], AbstractContextManager[Answer]],
    url: str,
    sha256: str,
    size: int | None,
    path: Path,
    parts: Path,
    wire: Wire,
    meter: Meter,
) -> None:
    """The blob that ``opened`` answers with (given request headers), as ``path``.

    What an interrupted transfer left in ``parts`` is continued, also from another address, and stays there: see
    ``forget``. IntegrityError if it is another blob, StoreUnreachable if it cannot be had or there is no room for it.
    """
    parts.mkdir(parents=True, exist_ok=True)
    part = parts / f"{sha256}.part"
    with _alone(parts / f"{sha256}.lock"):
        furthest = 0

        def attempt() -> str:
            nonlocal furthest
            try:
                return _transfer(opened, url, size, part, meter)
            finally:
                furthest = max(furthest, _size(part))

        continued = _size(part) > 0
        found = wire.persist(f"cannot fetch {url}", attempt, lambda: furthest)
        if found != sha256 and continued:
            # The part may have been of another file, or damaged: once more, from the beginning.
            part.unlink(missing_ok=True)
            found = wire.persist(f"cannot fetch {url}", attempt)
        if found != sha256:
            part.unlink(missing_ok=True)
            raise IntegrityError(f"{url} has other bytes than named: expected sha256 {sha256}, found {found}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(part, path)
        except OSError:
            with part.open("rb") as source, path.open("xb") as target:  # another file system
                shutil.copyfileobj(source, target, BLOCK)


def forget(parts: Path, sha256: Sequence[str]) -> None:
    """Removes the parts of blobs that have arrived."""
    for each in sha256:
        for suffix in (".part", ".lock"):
            with suppress(OSError):
                (parts / f"{each}{suffix}").unlink()


def _transfer(
    opened: Callable[[Mapping[str, str]], AbstractContextManager[Answer]],
    url: str,
    size: int | None,
    part: Path,
    meter: Meter,
) -> str:
    """Reads into ``part`` from where that ends; the hash of the whole. Unfinished if it breaks off."""
    have = _size(part)
    if size is not None and have >= size > 0:
        if have == size:
            meter.add(size)
            return str(_hash(part).hexdigest())
        part.unlink()
        have = 0
    with opened({"Range": f"bytes={have}-"} if have else {}) as answer:
        if answer.status == 416 or (answer.status == 206 and _start(answer) != have):
            part.unlink(missing_ok=True)
            raise Unfinished("the server has another size than the part here")
        if answer.status == 404 and size is not None:
            raise Unfinished("the registry has it not")
        if answer.status not in (200, 206):
            raise StoreUnreachable(f"cannot fetch {url}: status {answer.status}")
        if answer.status == 200:
            # A new file, not an emptied one: the bytes of the old one may be linked to elsewhere.
            part.unlink(missing_ok=True)
            have = 0
        total = have + answer.length if answer.length is not None else size
        if size is not None and total != size:
            raise Unfinished(f"the server declares {total:,} bytes, not {size:,}")
        _check_room(part.parent, 0 if total is None else total - have, have, url)
        digest = _hash(part) if have else hashlib.sha256()
        meter.add(have)
        done = have
        try:
            with part.open("ab") as stream:
                for block in answer.blocks():
                    done += len(block)
                    if done > (LARGEST_BLOB if total is None else total):
                        raise StoreUnreachable(f"cannot fetch {url}: the server sends more than it declared")
                    stream.write(block)
                    digest.update(block)
                    meter.add(len(block))
            if total is not None and done < total:
                raise Unfinished(f"the transfer broke off after {done:,} of {total:,} bytes")
        except BaseException:
            meter.add(-done)
            raise
    return str(digest.hexdigest())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _start(answer: Answer) -> int | None:
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    return int(found[1]) if found else None


def _check_room(folder: Path, left: int, have: int, url: str) -> None:
    if have + left > LARGEST_BLOB:
        raise StoreUnreachable(f"cannot fetch {url}: {have + left:,} bytes, more than {LARGEST_BLOB:,} are not fetched")
    free = shutil.disk_usage(folder).free
    if left > free:
        raise StoreUnreachable(
            f"cannot fetch {url}: {left:,} bytes to come, {free:,} free in {folder}",
            help="make room, or set TINSMITH_CACHE to a folder on a larger disk",
        )


def _hash(path: Path) -> Any:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    while True:
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(handle.fileno())):
                yield
                return
            # Another process had it, and removed it when it was done.
