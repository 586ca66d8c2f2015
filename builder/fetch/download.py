"""One file by address and hash: continued where it broke off, and never believed before it is hashed."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import requests

from builder.errors import IntegrityError, StoreUnreachable
from builder.fetch.http import Unfinished, get, persist

Emit = Callable[[str, Mapping[str, Any]], None]

LARGEST = 500 * 10**9
_BLOCK = 1 << 20
_SAY_EVERY = 2.0
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def download(url: str, sha256: str, folder: Path, emit: Emit, headers: Mapping[str, str] | None = None) -> Path:
    """The file at ``url`` as ``folder``/``sha256``, hashed whole.

    What an interrupted download left is continued, also from another address. IntegrityError if the file is another
    one, StoreUnreachable if it cannot be fetched or there is no room for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256
    with _alone(path.with_suffix(".lock")):
        if path.is_file() and _hash(path).hexdigest() == sha256:
            return path
        partial = path.with_suffix(".part")
        with requests.Session() as session:
            continued = partial.exists() and partial.stat().st_size > 0
            found = persist(url, lambda: _transfer(session, url, headers or {}, partial, emit))
            if found != sha256 and continued:
                # The part may have been of another file, or damaged: once more, from the beginning.
                partial.unlink(missing_ok=True)
                found = persist(url, lambda: _transfer(session, url, headers or {}, partial, emit))
        if found != sha256:
            partial.unlink(missing_ok=True)
            raise IntegrityError(
                f"{url} has other bytes than named: expected sha256 {sha256}, found {found}",
                help="check 'sha256'; if the address now has another file, that is not what the manifest means",
            )
        partial.rename(path)
        return path


def _transfer(session: requests.Session, url: str, headers: Mapping[str, str], partial: Path, emit: Emit) -> str:
    """Reads ``url`` into ``partial`` from where that ends; the hash of the whole. Unfinished if it breaks off."""
    have = partial.stat().st_size if partial.exists() else 0
    asked = {**headers, "Accept-Encoding": "identity"}
    if have:
        asked["Range"] = f"bytes={have}-"
    with get(session, url, asked) as answer:
        if answer.status_code == 401:
            raise StoreUnreachable(f"cannot fetch {url}: it asks for a login")
        if answer.status_code == 416 or (answer.status_code == 206 and _start(answer) != have):
            partial.unlink(missing_ok=True)
            raise Unfinished("the server has another size than the part here")
        if answer.status_code == 200:
            have = 0
        declared = answer.headers.get("content-length")
        left = int(declared) if declared and declared.isdigit() else None
        _check_room(partial.parent, left if left is not None else 0, have, url)
        digest = _hash(partial) if have else hashlib.sha256()
        with partial.open("ab" if have else "wb") as stream:
            _read(answer, stream, digest, have, left, url, emit)
    return digest.hexdigest()


def _read(
    answer: requests.Response, stream: IO[bytes], digest: Any, have: int, left: int | None, url: str, emit: Emit
) -> None:
    total, done, said = (have + left if left is not None else None), have, time.monotonic()
    try:
        for block in answer.iter_content(_BLOCK):
            done += len(block)
            if done > (LARGEST if total is None else total):
                raise StoreUnreachable(f"cannot fetch {url}: the server sends more than it declared")
            stream.write(block)
            digest.update(block)
            if time.monotonic() - said >= _SAY_EVERY:
                said = time.monotonic()
                emit("message", {"text": _progress(done, total)})
    except (requests.RequestException, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
            raise
        raise Unfinished(f"the transfer broke off after {done:,} bytes") from error
    finally:
        stream.flush()
    if total is not None and done < total:
        raise Unfinished(f"the transfer broke off after {done:,} of {total:,} bytes")


def _progress(done: int, total: int | None) -> str:
    if total is None:
        return f"fetched {done / 1e6:,.0f} MB"
    return f"fetched {done / 1e6:,.0f} of {total / 1e6:,.0f} MB ({100 * done // max(1, total)} %)"


def _start(answer: requests.Response) -> int | None:
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    return int(found[1]) if found else None


def _check_room(folder: Path, left: int, have: int, url: str) -> None:
    if have + left > LARGEST:
        raise StoreUnreachable(f"cannot fetch {url}: {have + left:,} bytes, more than {LARGEST:,} are not fetched")
    free = shutil.disk_usage(folder).free
    if left > free:
        raise StoreUnreachable(
            f"cannot fetch {url}: {left:,} bytes to come, {free:,} free in {folder}",
            help="make room, or set TINSMITH_CACHE to a folder on a larger disk",
        )


def _hash(path: Path) -> Any:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
