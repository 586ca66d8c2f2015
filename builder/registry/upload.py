"""One blob to a registry: in one piece if it is small, else in chunks that can go on after a break.

Source: OCI distribution specification 1.1, "Pushing blobs". A registry that cannot say how far an upload came gets it
from the start again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from builder.errors import StoreUnreachable
from builder.registry.address import is_loopback, joined
from builder.registry.auth import Access
from builder.registry.client import Registry
from builder.registry.watch import BLOCK
from builder.registry.wire import Answer, Unfinished
from builder.release.release import Blob

_LARGEST_CHUNK = 1 << 30
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")


class Upload:
    """Sends the blob at ``path``, whose bytes are known to be those of ``blob``. ``moved`` hears of bytes sent."""

    def __init__(
        self, registry: Registry, repository: str, blob: Blob, path: Path, moved: Callable[[int], None]
    ) -> None:
        self._registry, self._repository, self._blob, self._path, self._moved = registry, repository, blob, path, moved
        self._access = Access(repository, write=True)
        self._location: str | None = None
        self._offset = self._furthest = 0
        self._chunk = registry.wire.limits.chunk

    def run(self) -> None:
        """StoreUnreachable if the registry does not take it."""
        what = f"cannot write {self._blob.digest} to {self._registry.host}/{self._repository}"
        with self._path.open("rb") as stream:
            self._registry.persist(what, lambda: self._attempt(stream), lambda: self._furthest)

    def _attempt(self, stream: BinaryIO) -> None:
        if self._location is not None:
            self._find_place()
        if self._location is None:
            self._begin()
        if self._blob.size > self._registry.wire.limits.whole:
            while self._offset < self._blob.size:
                self._send_chunk(stream)
        self._finish(stream)

    def _begin(self) -> None:
        url = self._registry.url(self._repository, "blobs", "uploads") + "/"
        with self._registry.ask("POST", url, self._access, {"Content-Length": "0"}) as answer:
            if answer.status != 202 or "location" not in answer.headers:
                raise self._registry.failed(f"cannot write to {self._repository}", answer)
            self._chunk = max(self._registry.wire.limits.chunk, _least_chunk(answer))
            self._follow(answer)
        self._go_to(0)

    def _find_place(self) -> None:
        """Asks how far the upload came that broke off."""
        assert self._location is not None
        with self._registry.ask("GET", self._location, self._access) as answer:
            found = _RANGE.fullmatch(answer.headers.get("range", ""))
            if answer.status not in (200, 204) or found is None:
                self._location = None
                return
            end = int(found[1])
            self._follow(answer)
        # "0-0" is what some say of one byte, and others of none.
        self._go_to(0 if end == 0 or end >= self._blob.size else end + 1)

    def _send_chunk(self, stream: BinaryIO) -> None:
        assert self._location is not None
        start, end = self._offset, min(self._offset + self._chunk, self._blob.size)
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{start}-{end - 1}"}
        body = lambda: Part(stream, start, end, self._moved)  # noqa: E731
        with self._registry.ask("PATCH", self._location, self._access, headers, body, small=False) as answer:
            self._expect(answer, (201, 202, 204))
            found = _RANGE.fullmatch(answer.headers.get("range", ""))
            self._follow(answer)
        reached = int(found[1]) + 1 if found else end
        if not start < reached <= end:
            self._location = None
            raise Unfinished("the registry lost a part")
        self._offset, self._furthest = reached, max(self._furthest, reached)

    def _finish(self, stream: BinaryIO) -> None:
        assert self._location is not None
        url = f"{self._location}{'&' if '?' in self._location else '?'}digest={self._blob.digest}"
        headers = {"Content-Type": "application/octet-stream"}
        if self._offset == self._blob.size:
            rest, headers["Content-Length"] = None, "0"
        else:
            rest = lambda: Part(stream, self._offset, self._blob.size, self._moved)  # noqa: E731
        with self._registry.ask("PUT", url, self._access, headers, rest, small=False) as answer:
            self._expect(answer, (201, 204))
            said = answer.headers.get("docker-content-digest", self._blob.digest)
        self._location = None
        if said != self._blob.digest:
            raise Unfinished("the registry took it for other bytes")

    def _expect(self, answer: Answer, statuses: tuple[int, ...]) -> None:
        if answer.status in statuses:
            return
        self._location = None
        failure = self._registry.failed(f"cannot write to {self._repository}", answer)
        # Bytes that were damaged on the way, or an upload that the registry forgot: from the start.
        if answer.status in (400, 404, 416):
            raise Unfinished(failure.message)
        raise failure

    def _follow(self, answer: Answer) -> None:
        if "location" not in answer.headers:
            return
        found = joined(answer.url, answer.headers["location"]).partition("#")[0]
        if is_loopback(found) and not is_loopback(self._registry.base):
            raise StoreUnreachable(f"{self._registry.host} sends uploads to this machine itself, which is not followed")
        self._location = found

    def _go_to(self, offset: int) -> None:
        self._moved(offset - self._offset)
        self._offset = offset


class Part:
    """The bytes from ``start`` to ``end`` of a file, to be sent."""

    def __init__(self, stream: BinaryIO, start: int, end: int, moved: Callable[[int], None]) -> None:
        self._stream, self._length, self._left, self._moved = stream, end - start, end - start, moved
        stream.seek(start)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK):
            yield block

    def read(self, count: int = -1) -> bytes:
        block = self._stream.read(min(self._left, BLOCK if count < 0 else count))
        self._left -= len(block)
        self._moved(len(block))
        return block


def _least_chunk(answer: Answer) -> int:
    said = answer.headers.get("oci-chunk-min-length", "")
    return min(int(said), _LARGEST_CHUNK) if said.isascii() and said.isdigit() and len(said) < 19 else 0
