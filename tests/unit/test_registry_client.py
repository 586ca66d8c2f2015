"""The registry's client before a server that answers oddly: logins, redirects, pages, patience, broken transfers."""

from __future__ import annotations

import email.utils
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builder.digest import digest_bytes
from builder.errors import IntegrityError, StoreUnreachable, TinsmithError
from builder.registry import client
from builder.registry.client import Registry
from builder.registry.credentials import Credentials, anonymous
from builder.registry.transfer import fetch_blobs, send_blobs
from builder.registry.wire import Limits, retry_after
from builder.release.document import INDEX_TYPE
from builder.release.release import Blob

DATA = random.Random(1).randbytes(300_000)
BLOB = Blob(digest_bytes(DATA), len(DATA))
QUICK = Limits(
    connect=1,
    read=2,
    answer=1,
    stall=0.5,
    least_bytes=1000,
    first_wait=0.001,
    longest_wait=0.002,
    whole=1000,
    chunk=50_000,
)
PATIENT = Limits(first_wait=0.001, longest_wait=0.002, whole=1000, chunk=50_000)


class Server:
    """``answer`` is a function of a request; ``asked`` are (method, path, Authorization) in order."""

    def __init__(self, answer: Callable[[Any], None]) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                outer.asked.append((self.command, self.path, self.headers.get("Authorization")))
                answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _any

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


Serve = Callable[[Callable[[Any], None]], Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(answer: Callable[[Any], None]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def send(handler: Any, status: int = 200, data: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(data)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(data)


def body(handler: Any) -> bytes:
    return bytes(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)))


def asking(server: Server, limits: Limits = QUICK, lookup: Any = anonymous) -> Registry:
    return Registry(server.host, lookup=lookup, limits=limits)


def ignore(kind: str, detail: Any) -> None:
    pass


# Logins


def ann(host: str) -> Credentials:
    return Credentials("ann", "secret")


def test_a_password_is_sent_when_it_is_asked_for_and_from_then_on(serve: Serve) -> None:
    def answer(handler: Any) -> None:
        if handler.headers.get("Authorization") != ann("").basic:
            send(handler, 401, WWW_Authenticate='Basic realm="x"')
        else:
            send(handler, data=b"{}")

    server = serve(answer)
    with asking(server, lookup=ann) as registry:
        assert registry.manifest("a", "1") == registry.manifest("a", "2") == b"{}"
    assert [sent for _, _, sent in server.asked] == [None, ann("").basic, ann("").basic]


@pytest.mark.parametrize(("lookup", "says"), [(anonymous, "asks for a login"), (ann, "refuses the login")])
def test_a_login_that_is_missing_or_wrong(serve: Serve, lookup: Any, says: str) -> None:
    server = serve(lambda handler: send(handler, 401, WWW_Authenticate='Basic realm="x"'))
    with asking(server, lookup=lookup) as registry, pytest.raises(StoreUnreachable) as caught:
        registry.manifest("a", "1")
    assert says in caught.value.message and "docker login" in str(caught.value.help)
    assert "secret" not in caught.value.message + str(caught.value.help)


def test_a_token_is_bought_once_and_anew_when_it_is_refused(serve: Serve) -> None:
    good = ["t1"]

    def answer(handler: Any) -> None:
        if handler.path.startswith("/token"):
            send(handler, data=json.dumps({"token": good[0], "expires_in": 300}).encode())
        elif handler.headers.get("Authorization") != f"Bearer {good[0]}":
            realm = f'Bearer realm="http://{handler.headers["Host"]}/token",service="s",scope="repository:a:pull"'
            send(handler, 401, WWW_Authenticate=realm)
        else:
            send(handler, data=b"{}")

    server = serve(answer)
    with asking(server, lookup=ann) as registry:
        registry.manifest("a", "1")
        registry.manifest("a", "2")
        good[0] = "t2"
        registry.manifest("a", "3")
    tokens = [(path, sent) for _, path, sent in server.asked if path.startswith("/token")]
    assert tokens == [("/token?service=s&scope=repository%3Aa%3Apull", ann("").basic)] * 2
    assert not any(sent == ann("").basic for _, path, sent in server.asked if not path.startswith("/token"))


def test_a_refresh_token_is_posted(serve: Serve) -> None:
    posted: list[bytes] = []

    def answer(handler: Any) -> None:
        if handler.command == "POST":
            posted.append(body(handler))
            send(handler, data=b'{"access_token":"t"}')
        elif handler.headers.get("Authorization") != "Bearer t":
            send(handler, 401, WWW_Authenticate=f'Bearer realm="http://{handler.headers["Host"]}/token"')
        else:
            send(handler, data=b"{}")

    with asking(serve(answer), lookup=lambda host: Credentials("", "r", is_token=True)) as registry:
        assert registry.manifest("a", "1") == b"{}"
    assert posted == [b"grant_type=refresh_token&refresh_token=r&client_id=tinsmith&scope=repository%3Aa%3Apull"]


@pytest.mark.parametrize(
    "realm",
    ["http://registry.example.org/token", "ftp://127.0.0.1/x", "nowhere", "https://[zz", "https://a:99999/"],
)
def test_a_password_goes_to_no_address_that_is_not_encrypted(serve: Serve, realm: str) -> None:
    server = serve(lambda handler: send(handler, 401, WWW_Authenticate=f'Bearer realm="{realm}"'))
    with asking(server, lookup=ann) as registry, pytest.raises(StoreUnreachable):
        registry.manifest("a", "1")
    assert [sent for _, _, sent in server.asked] == [None]


def test_a_login_does_not_follow_a_redirect_to_another_host(serve: Serve) -> None:
    other = serve(lambda handler: send(handler, data=DATA))

    def answer(handler: Any) -> None:
        if handler.headers.get("Authorization") is None:
            send(handler, 401, WWW_Authenticate='Basic realm="x"')
        else:
            send(handler, 307, Location=f"http://{other.host}/storage?signed=1")

    with asking(serve(answer), lookup=ann) as registry:
        assert registry.small_blob("a", BLOB) == DATA
    assert other.asked == [("GET", "/storage?signed=1", None)]


@pytest.mark.parametrize(
    "target", ["http://registry.example.org/x", "//registry.example.org/x", "http://[", "file:///etc/passwd"]
)
def test_a_redirect_to_what_is_not_encrypted_is_not_followed(serve: Serve, target: str) -> None:
    with (
        asking(serve(lambda handler: send(handler, 302, Location=target))) as registry,
        pytest.raises(StoreUnreachable),
    ):
        registry.manifest("a", "1")


# Lists


def test_tags_go_on_over_pages_and_stop_where_a_page_brings_nothing_new(serve: Serve) -> None:
    def answer(handler: Any) -> None:
        page = int(handler.path.rpartition("page=")[2]) if "page=" in handler.path else 0
        names = [f"{min(page, 3)}.{number}.0" for number in range(2)]
        send(handler, data=json.dumps({"tags": names}).encode(), Link=f'</v2/a/tags/list?page={page + 1}>; rel="next"')

    server = serve(answer)
    with asking(server) as registry:
        assert registry.tags("a") == ["0.0.0", "0.1.0", "1.0.0", "1.1.0", "2.0.0", "2.1.0", "3.0.0", "3.1.0"]
    assert len(server.asked) == 5


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"tags":[1]}', b'{"tags":"x"}', b"[" * 200_000])
def test_what_is_no_list_of_tags(serve: Serve, data: bytes) -> None:
    with asking(serve(lambda handler: send(handler, data=data))) as registry, pytest.raises(StoreUnreachable):
        registry.tags("a")


def test_lists_without_end_are_not_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(handler: Any) -> None:
        page = len(server.asked)
        link = f'<{handler.path.partition("?")[0]}?page={page}>; rel="next"'
        names = {"tags": [f"{page}.{number}.0" for number in range(100)]}
        entry = {"digest": f"sha256:{page:064}", "size": 1}
        index = {"mediaType": INDEX_TYPE, "manifests": [entry] * 10}
        data = json.dumps(index if "referrers" in handler.path else names).encode()
        send(handler, data=data, Link=link, Content_Type=INDEX_TYPE)

    monkeypatch.setattr(client, "_LARGEST_LIST", 5000)
    server = serve(answer)
    with asking(server) as registry:
        with pytest.raises(StoreUnreachable, match="more tags"):
            registry.tags("a")
        with pytest.raises(StoreUnreachable, match="more referrers"):
            registry.referrers("a", BLOB.digest)
    assert len(server.asked) < 20


def test_a_list_that_goes_on_elsewhere_is_not_read(serve: Serve) -> None:
    link = '<https://registry.example.org/v2/a/tags/list?last=x>; rel="next"'
    server = serve(lambda handler: send(handler, data=b'{"tags":["1.0.0"]}', Link=link))
    with asking(server) as registry, pytest.raises(StoreUnreachable):
        registry.tags("a")


def test_a_tag_is_absent_only_if_the_list_of_tags_agrees(serve: Serve) -> None:
    absent = {"/v2/a/manifests/1.0.0": 9, "/v2/a/manifests/1.1.0": 1, "/v2/a/manifests/1.2.0": 9}

    def answer(handler: Any) -> None:
        if handler.path.startswith("/v2/a/tags"):
            send(handler, data=b'{"tags":["1.0.0","1.1.0"]}')
            return
        absent[handler.path] -= 1
        send(handler, 404) if absent[handler.path] >= 0 else send(handler, data=b"{}")

    with asking(serve(answer)) as registry:
        with pytest.raises(StoreUnreachable):
            registry.tagged("a", "1.0.0")
        assert registry.tagged("a", "1.1.0") == b"{}"  # somebody wrote it just then
        assert registry.tagged("a", "1.2.0") is None


def test_referrers_are_read_where_there_is_an_api(serve: Serve) -> None:
    index = "application/vnd.oci.image.index.v1+json"
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": BLOB.digest, "size": BLOB.size}
    page = json.dumps({"schemaVersion": 2, "mediaType": index, "manifests": [entry]}).encode()
    with asking(serve(lambda handler: send(handler, data=page, Content_Type=index))) as registry:
        assert registry.referrers("a", BLOB.digest) == [BLOB]
    with asking(serve(lambda handler: send(handler, data=b"<html>", Content_Type="text/html"))) as registry:
        assert registry.referrers("a", BLOB.digest) is None


# Wrong and slow answers


def test_a_manifest_of_other_bytes(serve: Serve) -> None:
    server = serve(lambda handler: send(handler, data=b"{}", Docker_Content_Digest=BLOB.digest))
    for reference in (BLOB.digest, "1.0.0"):
        with asking(server) as registry, pytest.raises(IntegrityError):
            registry.manifest("a", reference)


def test_an_answer_without_end(serve: Serve) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(1 << 16))

    with asking(serve(answer)) as registry:
        with pytest.raises(StoreUnreachable):
            registry.manifest("a", "1")
        with pytest.raises(StoreUnreachable):
            registry.small_blob("a", BLOB)


@pytest.mark.parametrize("where", ["headers", "body", "status"])
def test_a_drip_ends(serve: Serve, tmp_path: Path, where: str) -> None:
    finished = threading.Event()

    def answer(handler: Any) -> None:
        if where == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", str(BLOB.size))
            handler.end_headers()
        elif where == "headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not finished.wait(0.02):
            handler.wfile.write(b"x")

    with asking(serve(answer)) as registry, pytest.raises(StoreUnreachable) as caught:
        fetch_blobs(registry, "a", {tmp_path / "out": BLOB}, tmp_path / "parts", ignore)
    finished.set()
    assert "too slow" in caught.value.message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("status", "later"), [(503, "0"), (429, "1"), (500, "soon"), (429, "Wed, 21 Oct 2015 07:28:00 GMT")]
)
def test_a_busy_registry_is_asked_again(serve: Serve, status: int, later: str) -> None:
    def answer(handler: Any) -> None:
        if len(server.asked) < 3:
            send(handler, status, Retry_After=later)
        else:
            send(handler, data=b"{}")

    server = serve(answer)
    with asking(server) as registry:
        assert registry.manifest("a", "1") == b"{}"
    assert len(server.asked) == 3


def test_retry_after_is_a_number_or_a_date() -> None:
    now = 1_700_000_000.0
    date = email.utils.formatdate(now + 90, usegmt=True)
    for text, seconds in (("120", 120), (date, 90), ("", 0), ("soon", 0), ("-5", 0), ("1e9", 0), ("９", 0)):
        assert retry_after({"retry-after": text}, lambda: now) == seconds


def test_what_a_registry_says_is_printed_without_control_characters(serve: Serve) -> None:
    said = json.dumps({"errors": [{"code": "DENIED", "message": "no\x1b[31m way"}]}).encode()
    with asking(serve(lambda handler: send(handler, 403, said))) as registry, pytest.raises(StoreUnreachable) as caught:
        registry.manifest("a", "1")
    assert "DENIED" in caught.value.message and "\x1b" not in caught.value.message and caught.value.help


# Downloads


def ranged(handler: Any, cut: int | None) -> None:
    """The blob from where Range says; ``cut``: only so many bytes of it, then the connection ends."""
    start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
    data = DATA[start:]
    more = {"Content_Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
    handler.send_response(206 if start else 200)
    for name, value in {"Content_Length": str(len(data)), **more}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data[:cut])
    handler.close_connection = cut is not None


def test_a_blob_goes_on_where_it_broke_off_also_in_another_run(serve: Serve, tmp_path: Path) -> None:
    ranges: list[str | None] = []
    cuts: list[int | None] = [100_000]

    def answer(handler: Any) -> None:
        ranges.append(handler.headers.get("Range"))
        ranged(handler, cuts.pop(0) if cuts else None)

    with asking(serve(answer)) as registry:
        cuts[:] = [100_000, 50_000, 1, 1, 1, 1, 1, 1]
        with pytest.raises(StoreUnreachable):
            fetch_blobs(registry, "a", {tmp_path / "out": BLOB}, tmp_path / "parts", ignore)
        assert not (tmp_path / "out").exists()
    cuts.clear()
    with asking(serve(answer)) as registry:
        fetch_blobs(registry, "a", {tmp_path / "out": BLOB}, tmp_path / "parts", ignore)
    assert (tmp_path / "out").read_bytes() == DATA
    assert ranges == [None, "bytes=100000-", "bytes=150000-", "bytes=150001-", "bytes=150002-"]


def test_progress_counts_anew_so_that_a_long_transfer_over_a_bad_line_ends(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda handler: ranged(handler, 20_000))
    limits = Limits(first_wait=0.001, longest_wait=0.002, enough=10_000)
    with asking(server, limits) as registry:
        fetch_blobs(registry, "a", {tmp_path / "out": BLOB}, tmp_path / "parts", ignore)
    assert (tmp_path / "out").read_bytes() == DATA and len(server.asked) == 15


@pytest.mark.parametrize("size", [BLOB.size - 1, BLOB.size + 1])
def test_another_size_than_declared_is_refused(serve: Serve, tmp_path: Path, size: int) -> None:
    with asking(serve(lambda handler: ranged(handler, None))) as registry, pytest.raises(TinsmithError):
        fetch_blobs(registry, "a", {tmp_path / "out": Blob(BLOB.digest, size)}, tmp_path / "parts", ignore)
    assert not (tmp_path / "out").exists()


def test_the_first_failure_of_many_ends_them_all(serve: Serve, tmp_path: Path) -> None:
    waiting = threading.Event()

    def answer(handler: Any) -> None:
        if handler.path.endswith(BLOB.digest):
            send(handler, 403)
        else:
            waiting.wait(20)

    wanted = {tmp_path / "out": BLOB, **{tmp_path / str(n): Blob(digest_bytes(bytes([n])), 10**6) for n in range(3)}}
    with asking(serve(answer), PATIENT) as registry, pytest.raises(StoreUnreachable) as caught:
        fetch_blobs(registry, "a", wanted, tmp_path / "parts", ignore)
    waiting.set()
    assert "403" in caught.value.message


# Uploads


class Uploads:
    """A registry that takes blobs in chunks, and says how far it came."""

    def __init__(self, resumes: bool, broken: set[int]) -> None:
        self.resumes, self.broken = resumes, broken
        self.data, self.chunks, self.begun = b"", 0, 0
        self.done: bytes | None = None

    def __call__(self, handler: Any) -> None:
        place = "/v2/a/blobs/uploads/1?state=x"
        if handler.command == "HEAD":
            send(handler, 404)
        elif handler.command == "POST":
            self.data, self.begun = b"", self.begun + 1
            send(handler, 202, Location=place)
        elif handler.command == "GET":
            far = {"Range": f"0-{max(0, len(self.data) - 1)}"}
            send(handler, 204, Location=place, **far) if self.resumes else send(handler, 404)
        elif handler.command == "PATCH":
            self.chunks += 1
            start = int(handler.headers["Content-Range"].partition("-")[0])
            assert start == len(self.data)
            if self.chunks in self.broken:
                self.data += handler.rfile.read(30_000)
                handler.close_connection = True
                return
            self.data += body(handler)
            send(handler, 202, Location=place, Range=f"0-{len(self.data) - 1}")
        else:
            self.data += body(handler)
            digest = handler.path.rpartition("digest=")[2]
            right = digest == digest_bytes(self.data)
            self.done = self.data if right else None
            send(handler, 201 if right else 400, Docker_Content_Digest=digest)


@pytest.mark.parametrize(("resumes", "begun"), [(True, 1), (False, 2)])
def test_an_upload_goes_on_after_a_break_where_the_registry_can(
    serve: Serve, tmp_path: Path, resumes: bool, begun: int
) -> None:
    (tmp_path / "blob").write_bytes(DATA)
    uploads = Uploads(resumes, broken={3})
    with asking(serve(uploads)) as registry:
        assert send_blobs(registry, "a", {tmp_path / "blob": BLOB}, ignore) == BLOB.size
    assert uploads.done == DATA and uploads.begun == begun


def test_a_small_blob_is_sent_in_one_piece(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"small")
    uploads = Uploads(resumes=True, broken=set())
    with asking(serve(uploads)) as registry:
        send_blobs(registry, "a", {tmp_path / "blob": Blob(digest_bytes(b"small"), 5)}, ignore)
    assert uploads.done == b"small" and uploads.chunks == 0


def test_an_empty_blob(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"")
    uploads = Uploads(resumes=True, broken=set())
    with asking(serve(uploads)) as registry:
        send_blobs(registry, "a", {tmp_path / "blob": Blob(digest_bytes(b""), 0)}, ignore)
    assert uploads.done == b""


def test_a_damaged_file_is_not_sent(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(DATA[:-1] + b"x")
    uploads = Uploads(resumes=True, broken=set())
    with asking(serve(uploads)) as registry, pytest.raises(IntegrityError):
        send_blobs(registry, "a", {tmp_path / "blob": BLOB}, ignore)
    assert uploads.begun == 0


def test_a_registry_that_never_agrees_with_the_digest(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(DATA)

    def answer(handler: Any) -> None:
        data = body(handler)
        if handler.command == "PUT":
            send(handler, 400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
        else:
            status = 404 if handler.command == "HEAD" else 202
            send(handler, status, Location=f"/v2/a/blobs/uploads/{time.monotonic()}", Range=f"0-{len(data)}")

    with asking(serve(answer), PATIENT) as registry, pytest.raises(StoreUnreachable):
        send_blobs(registry, "a", {tmp_path / "blob": BLOB}, ignore)
