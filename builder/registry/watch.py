"""Ends exchanges that make too little progress: a socket's own timeout starts anew with every byte that drips in.

A watched connection registers its socket with the exchange of its thread; one background thread shuts down the sockets
of those that are late, which ends whatever waits on them (connecting, a handshake, headers, a body either way).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

BLOCK = 1 << 20


class Exchange:
    """One request and its answer. ``advance`` counts the bytes of either body."""

    def __init__(self, seconds: float, least: int, whole: float | None) -> None:
        self._seconds, self._least = seconds, least
        self._end = None if whole is None else time.monotonic() + whole
        self._since, self._moved = time.monotonic(), 0
        self.connection: Any = None
        self.late = False

    def advance(self, count: int) -> None:
        self._moved += count

    def judge(self, now: float) -> None:
        """Cuts the connection if in the last ``seconds`` fewer than ``least`` bytes came, or the ``whole`` is over."""
        if now - self._since >= self._seconds:
            self.late = self.late or self._moved < self._least
            self._since, self._moved = now, 0
        self.late = self.late or (self._end is not None and now >= self._end)
        connected = getattr(self.connection, "sock", None)
        if self.late and connected is not None:
            with contextlib.suppress(OSError, ValueError):
                # Below TLS, whose own shutdown is not meant for another thread.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)


_current = threading.local()


class Watch:
    """Judges the exchanges under way every ``period`` seconds. A context manager."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._exchanges: set[Exchange] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def over(self, exchange: Exchange) -> Iterator[Exchange]:
        with self._lock:
            self._exchanges.add(exchange)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="watch")
                self._thread.start()
        before = getattr(_current, "exchange", None)
        _current.exchange = exchange
        try:
            yield exchange
        finally:
            _current.exchange = before
            with self._lock:
                self._exchanges.discard(exchange)
                exchange.connection = None  # it may serve another exchange now

    def _run(self) -> None:
        while not self._closed.wait(self._period):
            with self._lock:  # so that none ends, and frees its connection for another, while it is judged
                now = time.monotonic()
                for exchange in self._exchanges:
                    exchange.judge(now)

    def cut(self) -> None:
        """Ends every exchange under way."""
        with self._lock:
            for exchange in self._exchanges:
                exchange.late = True
                exchange.judge(time.monotonic())

    def close(self) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join()


def _register(connection: Any) -> None:
    exchange = getattr(_current, "exchange", None)
    if exchange is not None:
        exchange.connection = connection


class _Plain(urllib3.connection.HTTPConnection):
    def connect(self) -> None:
        _register(self)
        super().connect()

    def request(self, *words: Any, **named: Any) -> None:
        _register(self)
        super().request(*words, **named)


class _Secure(urllib3.connection.HTTPSConnection):
    def connect(self) -> None:
        _register(self)
        super().connect()

    def request(self, *words: Any, **named: Any) -> None:
        _register(self)
        super().request(*words, **named)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


class WatchedAdapter(HTTPAdapter):
    """Connections that can be watched, and that move bodies in blocks of ``BLOCK`` bytes."""

    def init_poolmanager(self, *words: Any, **named: Any) -> None:
        super().init_poolmanager(*words, blocksize=BLOCK, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, blocksize=BLOCK, **named)
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
        return manager


def watched_session(connections: int) -> requests.Session:
    """A session that keeps no cookies, takes no passwords from .netrc and may be used by ``connections`` threads."""
    from http.cookiejar import DefaultCookiePolicy

    session = requests.Session()
    session.mount("https://", WatchedAdapter(pool_maxsize=connections, max_retries=0))
    session.mount("http://", WatchedAdapter(pool_maxsize=connections, max_retries=0))
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = lambda request: request
    return session
