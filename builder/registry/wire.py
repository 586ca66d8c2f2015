"""HTTP as registries need it: https, or http on this machine itself; careful redirects; bounded patience.

Whatever breaks off or comes too slowly is Unfinished, and ``persist`` tries it again a few times.
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Protocol, TypeVar

import requests
import urllib3

from builder.errors import StoreUnreachable
from builder.registry.address import check_address, is_loopback, joined, origin
from builder.registry.watch import BLOCK, Exchange, Watch, watched_session

MOST_REDIRECTS = 5
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_BROKEN = (urllib3.exceptions.HTTPError, requests.RequestException, HTTPException, OSError, ValueError)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """Patience, in seconds unless said otherwise. A body must move ``least_bytes`` in every ``stall``."""

    connect: float = 15.0
    read: float = 60.0
    answer: float = 120.0
    """For a small answer, whole."""
    stall: float = 60.0
    least_bytes: int = 64 << 10
    attempts: int = 4
    first_wait: float = 1.0
    longest_wait: float = 30.0
    enough: int = 1 << 20
    """Bytes of progress after which the attempts are counted from the first again."""
    whole: int = 1 << 20
    """Bytes of the largest blob that is sent in one piece; larger ones go in pieces of ``chunk`` bytes."""
    chunk: int = 64 << 20


class Unfinished(Exception):
    """The transfer broke off, or the server asks to come again later (``wait`` seconds)."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Body(Protocol):
    """What is sent: read in blocks, of a known length."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def read(self, count: int = -1) -> bytes: ...


class Answer:
    """Status and headers (case-insensitive) of an answer whose body is still to be read."""

    def __init__(self, url: str, response: requests.Response, exchange: Exchange) -> None:
        self.url, self.status, self.headers = url, response.status_code, response.headers
        self._response, self._exchange = response, exchange

    @property
    def length(self) -> int | None:
        declared = self.headers.get("content-length", "")
        return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 19 else None

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes. Unfinished if it breaks off before what was declared, or stalls."""
        if self.headers.get("content-encoding", "identity") != "identity":
            raise StoreUnreachable(f"{self.url} is sent in an encoding that was not asked for")
        while True:
            try:
                block = self._response.raw.read(BLOCK, decode_content=False)
            except _BROKEN as error:
                raise Unfinished("too slow" if self._exchange.late else reason(error)) from error
            if self._exchange.late:
                raise Unfinished("too slow")
            if not block:
                return
            self._exchange.advance(len(block))
            yield block

    def small(self, most: int) -> bytes:
        """The body, at most ``most`` bytes. StoreUnreachable if it is larger."""
        data = bytearray()
        for block in self.blocks():
            data += block
            if len(data) > most:
                raise StoreUnreachable(f"{self.url}: the answer is larger than {most:,} bytes")
        return bytes(data)


class Wire:
    """Exchanges over kept connections, for ``threads`` threads at once. A context manager."""

    def __init__(self, limits: Limits, threads: int = 1) -> None:
        self.limits = limits
        self._session = watched_session(threads)
        self._watch = Watch(min(0.5, limits.stall / 4, limits.answer / 4))
        self._stopped = threading.Event()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()
        self._watch.close()

    def stop(self) -> None:
        """Ends what is under way, in whatever thread, and lets nothing be tried again."""
        self._stopped.set()
        self._watch.cut()

    @contextmanager
    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | bytes | None = None, *, small: bool = True
    ) -> Iterator[Answer]:
        """The answer, of any status that is not worth trying again: for those, and what breaks off, Unfinished.

        Redirects are followed when reading; Authorization does not go along to another origin. A ``small`` answer
        must be whole within ``limits.answer``. StoreUnreachable if the address cannot be used.
        """
        sent = {"User-Agent": "tinsmith", "Accept-Encoding": "identity", **headers}
        watched = Exchange(self.limits.stall, self.limits.least_bytes, self.limits.answer if small else None)
        data: Any = _Counted(body, watched) if body is not None and not isinstance(body, bytes) else body
        if self._stopped.is_set():
            raise Unfinished("stopped")
        with self._watch.over(watched):
            for _ in range(MOST_REDIRECTS + 1):
                check_address(url)
                try:
                    response = self._session.request(
                        method, url, headers=sent, data=data, stream=True, allow_redirects=False,
                        timeout=(self.limits.connect, self.limits.read),
                    )  # fmt: skip
                except _BROKEN as error:
                    raise self._broken(url, error, watched) from error
                with response:
                    if (
                        method in ("GET", "HEAD")
                        and response.status_code in _REDIRECTS
                        and "location" in response.headers
                    ):
                        target = joined(url, response.headers["location"])
                        if origin(target) != origin(url):
                            sent.pop("Authorization", None)
                            if is_loopback(target) and not is_loopback(url):
                                raise StoreUnreachable(f"{url} redirects to this machine itself, which is not followed")
                        url = target
                        continue
                    if response.status_code in _AGAIN:
                        raise Unfinished(f"status {response.status_code}", retry_after(response.headers))
                    yield Answer(url, response, watched)
                    return
        raise StoreUnreachable(f"cannot reach {url}: more than {MOST_REDIRECTS} redirects")

    def _broken(self, url: str, error: Exception, watched: Exchange) -> Exception:
        if watched.late:
            return Unfinished("too slow")
        if isinstance(
            error, (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError, OSError)
        ) and not (isinstance(error, requests.exceptions.InvalidURL)):
            return Unfinished(reason(error))
        return StoreUnreachable(f"cannot reach {url}: {reason(error)}")

    def pause(self, seconds: float) -> None:
        """Waits, as long as patience goes, or until it is stopped."""
        pause(min(seconds, self.limits.longest_wait), self._stopped)

    def persist(self, what: str, attempt: Callable[[], Result], reached: Callable[[], int] = lambda: 0) -> Result:
        """What ``attempt`` gives, tried again while it is Unfinished.

        StoreUnreachable after ``limits.attempts`` attempts in which ``reached``, a number of bytes that never falls,
        did not grow by ``limits.enough``.
        """
        limits, number, mark = self.limits, 0, reached()
        while True:
            try:
                return attempt()
            except Unfinished as error:
                number += 1
                if reached() >= mark + limits.enough:
                    number, mark = 1, reached()
                if number >= limits.attempts or self._stopped.is_set():
                    times = f", {number} times" if number > 1 else ""
                    raise StoreUnreachable(
                        f"{what}: {error}{times}", help="check the address and the network, and try again"
                    ) from error
                pause(min(limits.longest_wait, max(error.wait, limits.first_wait * 2 ** (number - 1))), self._stopped)


def pause(seconds: float, stopped: threading.Event) -> None:
    stopped.wait(seconds)


class _Counted:
    """A body that tells ``exchange`` what has left."""

    def __init__(self, body: Body, exchange: Exchange) -> None:
        self._body, self._exchange = body, exchange

    def __len__(self) -> int:
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK):
            yield block

    def read(self, count: int = -1) -> bytes:
        block = self._body.read(count)
        self._exchange.advance(len(block))
        return block


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float:
    """Seconds that ``Retry-After`` asks for, which holds a number or a date; 0 if it is missing or neither."""
    text = headers.get("retry-after", "")
    try:
        if text.isascii() and text.isdigit():
            return float(text[:9])
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def reason(error: BaseException) -> str:
    """Why a connection failed, in few words."""
    text = str(error)
    for word in ("timed out", "refused", "reset", "resolve", "certificate verify failed"):
        if word in text:
            return {"refused": "connection refused", "reset": "connection reset", "resolve": "no such host"}.get(
                word, word
            )
    return text.splitlines()[0][:200] if text else type(error).__name__
