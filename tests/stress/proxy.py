"""An HTTP proxy before a registry that does harm as a seeded schedule says."""

from __future__ import annotations

import email.utils
import http.client
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONGEST = 3.0
"""Seconds after which a drip, an endless body or a silence ends by itself: beyond any patience of the tests."""

ANSWERS = (
    "reset", "truncated", "status", "busy", "drip", "drip-headers", "wrong-bytes", "endless", "twice", "longer",
    "shorter", "redirects", "not-found", "stale", "silence", "garbage", "encoded", "wrong-digest", "login",
)  # fmt: skip
REQUESTS = ("refused", "request-cut", "request-bytes")
KINDS = (*ANSWERS, *REQUESTS, "dead")


LIES = ("wrong-bytes", "request-bytes", "not-found", "stale", "twice", "shorter", "wrong-digest")
"""Answers that look whole."""
TARGETS = (
    "",
    "/blobs/",
    "/blobs/sha256:",
    "/manifests/",
    "/manifests/sha256:",
    "/manifests/sha256-|/referrers/|/tags/",
)


class Schedule:
    """Which requests are harmed, and how: those of some paths, a few kinds, a chance, and how often at most."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        among = self.chance.choice([KINDS, LIES])
        self.kinds = self.chance.sample(among, self.chance.choice([1, 2, 4, len(among)]))
        self.target = re.compile(self.chance.choice(TARGETS))
        self.share = self.chance.choice([0.1, 0.3, 0.6])
        self.left = self.chance.choice([1, 2, 5, 10_000])
        self.not_founds = 2  # a registry that always says 'not found' is one that has nothing
        self.done: Counter[str] = Counter()
        self._lock = threading.Lock()

    def next(self, path: str) -> tuple[str | None, random.Random]:
        """The harm to the next request, which is for ``path``, and a source of chance for its details."""
        with self._lock:
            own = random.Random(self.chance.random())
            if self.left <= 0 or not self.target.search(path) or self.chance.random() >= self.share:
                return None, own
            kind = self.chance.choice(self.kinds)
            if kind == "not-found":
                self.not_founds -= 1
                if self.not_founds < 0:
                    return None, own
            self.left -= 1
            self.done[kind] += 1
            return kind, own


class FaultProxy:
    """Answers at ``host`` for the registry at ``upstream``. A context manager."""

    def __init__(self, upstream: str, schedule: Schedule) -> None:
        self.upstream, self.schedule = upstream, schedule
        self.remembered: dict[tuple[str, str], tuple[int, list[tuple[str, str]], bytes]] = {}
        outer = self

        class Handler(_Handler):
            proxy = outer

        self._http = _Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def die(self) -> None:
        """From now on connections are refused."""
        with suppress(OSError):
            self._http.socket.shutdown(socket.SHUT_RDWR)
        self._http.socket.close()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http._BaseServer__shutdown_request = True  # type: ignore[attr-defined]
        self._thread.join()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # what breaks here was to break

    def service_actions(self) -> None:
        if self.socket.fileno() < 0:
            self._BaseServer__shutdown_request = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    proxy: FaultProxy

    def log_message(self, *_: Any) -> None:
        pass

    def _any(self) -> None:
        kind, chance = self.proxy.schedule.next(self.path)
        if kind == "refused":
            return self._reset()
        if kind == "dead":
            self.proxy.die()
            return self._reset()
        length = int(self.headers.get("Content-Length") or 0)
        if kind == "request-cut" and length:
            self.rfile.read(chance.randrange(length))
            return self._reset()
        body = self.rfile.read(length)
        # A manifest under a tag is the one thing whose bytes a registry cannot check; TLS does, in the field.
        by_tag = "/manifests/" in self.path and "/manifests/sha256:" not in self.path
        if kind == "request-bytes" and body and not by_tag:
            body = _flipped(body, chance)
        early = {"status": chance.choice([500, 502, 503, 504]), "busy": 429, "not-found": 404, "login": 401}
        if kind in early:
            return self._early(early[kind], kind, chance)
        if kind == "redirects":
            return self._answer(chance.choice([301, 302, 307]), [("Location", self.path)], b"")
        if kind == "silence":
            return self._wait(LONGEST)
        if kind == "garbage":
            self.wfile.write(chance.randbytes(200))
            return self._reset()
        status, headers, data = self._upstream(body)
        key = (self.command, self.path)
        if kind == "stale" and key in self.proxy.remembered:
            status, headers, data = self.proxy.remembered[key]
        self.proxy.remembered.setdefault(key, (status, headers, data))
        self._harmed(kind, status, headers, data, chance)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _any

    def _upstream(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=10)
        try:
            sent = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            connection.request(self.command, self.path, body or None, sent)
            answer = connection.getresponse()
            passed = [
                (name, value)
                for name, value in answer.getheaders()
                if name.lower() not in ("connection", "transfer-encoding", "date")
            ]
            return answer.status, passed, answer.read()
        finally:
            connection.close()

    def _early(self, status: int, kind: str, chance: random.Random) -> None:
        headers = [("Content-Type", "application/json")]
        if kind in ("busy", "status"):
            later = email.utils.formatdate(time.time() + 1, usegmt=True)
            headers.append(("Retry-After", chance.choice(["0", "1", later, "soon", "-3", "9" * 40])))
        if kind == "login":
            nowhere = 'Bearer realm="http://127.0.0.1:1/token",service="x",scope="repository:x:pull"'
            headers.append(("WWW-Authenticate", chance.choice(['Basic realm="x"', nowhere, "", "Digest x"])))
        code = {404: "MANIFEST_UNKNOWN", 401: "UNAUTHORIZED"}.get(status, "UNKNOWN")
        self._answer(status, headers, f'{{"errors":[{{"code":"{code}","message":"a fault"}}]}}'.encode())

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes, length: int | None = -1) -> None:
        """Sends it with ``length`` as the declared one: by default the right one, None for none at all."""
        self.send_response(status)
        for name, value in headers:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            if length is None:
                self.send_header("Connection", "close")
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(len(data) if length < 0 else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _harmed(
        self, kind: str | None, status: int, headers: list[tuple[str, str]], data: bytes, chance: random.Random
    ) -> None:
        if kind == "reset":
            self._answer(status, headers, data[: chance.randrange(len(data) + 1)], len(data) or 1)
            self._reset()
        elif kind == "truncated":
            self._answer(status, headers, data[: chance.randrange(len(data) + 1)], len(data) or 1)
            self.close_connection = True
        elif kind == "wrong-bytes":
            self._answer(status, headers, _flipped(data, chance))
        elif kind == "twice":
            self._answer(status, headers, data + data, chance.choice([None, len(data), 2 * len(data)]))
        elif kind == "longer":
            self._answer(status, headers, data, len(data) + chance.choice([1, 100, 10**12]))
            self.close_connection = True
        elif kind == "shorter":
            self._answer(status, headers, data, chance.randrange(len(data) + 1))
            self.close_connection = True
        elif kind == "encoded":
            self._answer(status, [*headers, ("Content-Encoding", "gzip")], data)
        elif kind == "wrong-digest":
            others = [(name, value) for name, value in headers if name.lower() != "docker-content-digest"]
            self._answer(status, [*others, ("Docker-Content-Digest", "sha256:" + "0" * 64)], data)
        elif kind == "endless":
            self._answer(status, headers, data, None)
            end = time.monotonic() + LONGEST
            while time.monotonic() < end and self.command != "HEAD":
                self.wfile.write(bytes(1 << 16))
        elif kind in ("drip", "drip-headers"):
            self._drip(kind, status, headers, data)
        else:
            self._answer(status, headers, data)

    def _drip(self, kind: str, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        end = time.monotonic() + LONGEST
        self.close_connection = True
        if kind == "drip":
            self._answer(status, headers, b"", len(data) or 1000)
            drops = data or bytes(1000)
        else:
            drops = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 60_000
        for place in range(len(drops)):
            if time.monotonic() >= end:
                return
            self.wfile.write(drops[place : place + 1])
            self.wfile.flush()
            time.sleep(0.02)

    def _wait(self, seconds: float) -> None:
        self.close_connection = True
        self.connection.settimeout(seconds)
        with suppress(OSError):
            self.connection.recv(1)

    def _reset(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def _flipped(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return data
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]
