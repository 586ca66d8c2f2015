"""Fetching over real HTTP: broken off, continued, refused; archives that mean harm; the same content by every way."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builder.errors import DatasetError, IntegrityError, StoreUnreachable
from builder.fetch import fetch
from builder.fetch.archive import extract
from builder.fetch.download import download
from builder.lock.content import dataset_digest
from builder.lock.globs import counts
from builder.manifest.datasource import Source
from builder.registry import wire

DATA = bytes(range(256)) * 8192
SHA = hashlib.sha256(DATA).hexdigest()


def ignore(kind: str, detail: Mapping[str, Any]) -> None:
    pass


class Server:
    """``answers`` maps a path to a function of (handler, how often it was asked)."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler, int], None]] = {}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Range")))
                count = sum(path == self.path for path, _ in outer.asked)
                outer.answers[self.path.partition("?")[0]](self, count)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def serve(self, path: str, data: bytes, **headers: str) -> str:
        self.answers[path] = lambda handler, count: send(handler, data, **headers)
        return self.url + path


def send(
    handler: BaseHTTPRequestHandler, data: bytes, status: int = 200, length: int | None = None, **more: str
) -> None:
    handler.send_response(status)
    for name, value in more.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(data) if length is None else length))
    handler.end_headers()
    handler.wfile.write(data)


def cut_then_ranges(handler: BaseHTTPRequestHandler, count: int) -> None:
    """The first time half of the bytes and a closed connection; then what Range asks for."""
    if count == 1:
        send(handler, DATA[: len(DATA) // 2], length=len(DATA))
        handler.close_connection = True
        return
    start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
    send(handler, DATA[start:], 206, Content_Range=f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(wire, "pause", lambda seconds, stopped: None)
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def test_a_broken_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.answers["/x"] = cut_then_ranges
    assert download(server.url + "/x", SHA, tmp_path, ignore).read_bytes() == DATA
    assert server.asked == [("/x", None), ("/x", f"bytes={len(DATA) // 2}-")]


def test_what_an_earlier_run_left_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{SHA}.part").write_bytes(DATA[:1000])
    server.answers["/x"] = lambda handler, count: cut_then_ranges(handler, 2)
    assert download(server.url + "/x", SHA, tmp_path, ignore).read_bytes() == DATA
    assert server.asked == [("/x", "bytes=1000-")]


def test_a_damaged_part_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{SHA}.part").write_bytes(b"x" * 1000)
    server.answers["/x"] = lambda handler, count: cut_then_ranges(handler, 2)
    assert download(server.url + "/x", SHA, tmp_path, ignore).read_bytes() == DATA
    assert server.asked == [("/x", "bytes=1000-"), ("/x", None)]


def test_a_server_without_ranges_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{SHA}.part").write_bytes(DATA[:1000])
    assert download(server.serve("/x", DATA), SHA, tmp_path, ignore).read_bytes() == DATA


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    def busy(handler: BaseHTTPRequestHandler, count: int) -> None:
        if count < 3:
            send(handler, b"", 503 if count == 1 else 429, Retry_After="1")
        else:
            send(handler, DATA)

    server.answers["/x"] = busy
    assert download(server.url + "/x", SHA, tmp_path, ignore).read_bytes() == DATA


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda handler, count: send(handler, b"other"), IntegrityError),
        (lambda handler, count: send(handler, b"", 404), StoreUnreachable),
        (lambda handler, count: send(handler, b"", 503), StoreUnreachable),
        (lambda handler, count: send(handler, b"", 302, Location="ftp://127.0.0.1/x"), StoreUnreachable),
        (lambda handler, count: send(handler, b"", 302, Location="http://host.invalid/x"), StoreUnreachable),
        (lambda handler, count: send(handler, b"", 302, Location="/x"), StoreUnreachable),
        (lambda handler, count: send(handler, b"", 401), StoreUnreachable),
        (lambda handler, count: send(handler, b"", 200, 10**13), StoreUnreachable),
    ],
)
def test_what_cannot_be_had_is_one_error(server: Server, tmp_path: Path, answer: Any, error: type[Exception]) -> None:
    server.answers["/x"] = answer
    with pytest.raises(error):
        download(server.url + "/x", SHA, tmp_path, ignore)
    assert not (tmp_path / SHA).exists()


def source(**fields: Any) -> Source:
    return Source(name="data", **fields)


FILES = {"images/a.jpg": b"\xff\xd8a", "images/b.jpg": b"\xff\xd8b", "annotations/a.xml": b"<a/>", "notes.txt": b"n"}
PATHS = ("annotations", "images")


def tar_of(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zip_of(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def serve_artifact(server: Server, layers: list[tuple[str, bytes, str | None]]) -> str:
    """An artifact that wants an anonymous token, as public registries do; its reference."""
    described = [
        {"mediaType": kind, "digest": f"sha256:{sha(data)}", "size": len(data),
         **({"annotations": {"org.opencontainers.image.title": title}} if title else {})}
        for kind, data, title in layers
    ]  # fmt: skip
    manifest = json.dumps({"schemaVersion": 2, "layers": described}).encode()
    reference = f"/v2/team/data/manifests/sha256:{sha(manifest)}"

    def guarded(data: bytes) -> Callable[[BaseHTTPRequestHandler, int], None]:
        def answer(handler: BaseHTTPRequestHandler, count: int) -> None:
            if handler.headers.get("Authorization") != "Bearer let-me-in":
                challenge = f'Bearer realm="{server.url}/token",service="s",scope="repository:team/data:pull"'
                send(handler, b"", 401, WWW_Authenticate=challenge)
            else:
                send(handler, data)

        return answer

    server.answers[reference] = guarded(manifest)
    for _, data, _ in layers:
        server.answers[f"/v2/team/data/blobs/sha256:{sha(data)}"] = guarded(data)
    server.serve("/token", b'{"token": "let-me-in"}')
    return f"{server.url.removeprefix('http://')}/team/data@sha256:{sha(manifest)}"


def test_the_content_digest_is_the_same_by_every_way(server: Server, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    for name, data in FILES.items():
        (plain / name).parent.mkdir(parents=True, exist_ok=True)
        (plain / name).write_bytes(data)
    git = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=plain, env=git, check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=plain, env=git, check=True, capture_output=True, text=True
    )
    in_git = source(path="x").model_copy(
        update={"path": None, "git": f"file://{plain}", "commit": commit.stdout.strip()}
    )
    expected = dataset_digest(plain, PATHS)
    assert expected.files == 3
    archives = {f"/x-{mode[2:]}": tar_of(FILES, mode) for mode in ("w", "w:gz", "w:bz2", "w:xz")}
    archives["/x.zip"] = zip_of(FILES)
    sources = [source(url=server.serve(path, data), sha256=sha(data)) for path, data in archives.items()]
    single = [("application/octet-stream", data, name) for name, data in FILES.items()]
    tarred = [("application/vnd.oci.image.layer.v1.tar+gzip", tar_of(FILES), None)]
    sources += [source(oci=serve_artifact(server, layers)) for layers in (single, tarred)]
    sources.append(in_git)
    for number, each in enumerate(sources):
        cache = tmp_path / f"cache-{number}"
        folder = fetch(each, cache, ignore, transports=("file",))
        assert dataset_digest(folder, PATHS) == expected, each
        # What is there is not fetched again.
        asked = len(server.asked)
        assert fetch(each, cache, ignore, transports=("file",)) == folder and len(server.asked) == asked
        assert not list((cache / "downloads").glob("*.part")) if (cache / "downloads").exists() else True


def test_mirrors_are_tried_in_turn(server: Server, tmp_path: Path) -> None:
    data = zip_of(FILES)
    server.answers["/gone"] = lambda handler, count: send(handler, b"", 404)
    wrong, right = server.serve("/wrong", b"not it"), server.serve("/right", data)
    told: list[str] = []
    folder = fetch(
        source(url=server.url + "/gone", sha256=sha(data), mirrors=(wrong, right)),
        tmp_path,
        lambda kind, detail: told.append(str(detail["text"])),
    )
    assert (folder / "notes.txt").read_bytes() == b"n"
    assert any("404" in text for text in told) and any("other bytes" in text for text in told)
    with pytest.raises(IntegrityError):
        fetch(source(url=server.url + "/gone", sha256=sha(b"none"), mirrors=(wrong,)), tmp_path, ignore)


def test_a_registry_that_gives_other_bytes(server: Server, tmp_path: Path) -> None:
    reference = serve_artifact(server, [("application/octet-stream", b"data", "a.txt")])
    server.serve(f"/v2/team/data/blobs/sha256:{sha(b'data')}", b"atad")
    with pytest.raises(IntegrityError):
        fetch(source(oci=reference), tmp_path, ignore)
    assert list((tmp_path / "sources").iterdir()) == []


@pytest.mark.parametrize("title", ["../x", "/x", "a\\b", "x/"])
def test_a_layer_that_leads_out(server: Server, tmp_path: Path, title: str) -> None:
    reference = serve_artifact(server, [("application/octet-stream", b"data", title)])
    with pytest.raises(DatasetError):
        fetch(source(oci=reference), tmp_path, ignore)


# Archives that mean harm


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, target, size
    return found


def tar_with(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for item in members:
            archive.addfile(item, io.BytesIO(b"\0" * item.size))
    return out.getvalue()


def zip_with(name: str, attributes: int = 0, data: bytes = b"x") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename, info.external_attr = name, attributes
        archive.writestr(info, data)
    return out.getvalue()


HOSTILE = {
    "absolute": tar_with(member("/etc/x")),
    "up": tar_with(member("a/../../x")),
    "drive": tar_with(member("C:x")),
    "backslash": tar_with(member("..\\x")),
    "newline": tar_with(member("a\nb")),
    "link out": tar_with(member("a", tarfile.SYMTYPE, "../../etc/passwd")),
    "absolute link": tar_with(member("a", tarfile.SYMTYPE, "/etc/passwd")),
    "hard link out": tar_with(member("a", tarfile.LNKTYPE, "../x")),
    "link to nothing": tar_with(member("a", tarfile.SYMTYPE, "b")),
    "link then through it": tar_with(member("d", tarfile.SYMTYPE, "."), member("d/x", size=3)),
    "device": tar_with(member("a", tarfile.CHRTYPE)),
    "fifo": tar_with(member("a", tarfile.FIFOTYPE)),
    "twice": tar_with(member("a", size=1), member("./a", size=1)),
    "in a file": tar_with(member("a", size=1), member("a/b", size=1)),
    "long name": tar_with(member("x" * 300)),
    "cut": tar_with(member("a", size=5000))[:2000],
    "bomb": tar_of({"a": b"\0" * (70 << 20)}),
    "nothing": tar_with(),
    "empty file": b"",
    "text": b"not an archive at all" * 100,
    "zip up": zip_with("../x"),
    "zip absolute": zip_with("/x"),
    "zip link out": zip_with("a", 0o120777 << 16, b"../../etc/passwd"),
    "zip device": zip_with("a", 0o020777 << 16),
    "zip bomb": zip_of({"a": b"\0" * (70 << 20)}),
    "zip cut": zip_of(FILES)[:-30],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "out" / "folder"
    folder.mkdir(parents=True)
    archive.write_bytes(HOSTILE[name])
    with pytest.raises(DatasetError) as caught:
        extract(archive, folder, ignore)
    assert caught.value.help
    assert list(folder.iterdir()) == [] and [path.name for path in folder.parent.iterdir()] == ["folder"]


def test_links_within_become_copies_and_modes_are_plain(tmp_path: Path) -> None:
    data = tar_with(
        member("d/a", size=3), member("b", tarfile.SYMTYPE, "d/a"), member("d/c", tarfile.SYMTYPE, "../d/a"),
        member("e", tarfile.LNKTYPE, "d/a"),
    )  # fmt: skip
    (tmp_path / "archive").write_bytes(data)
    folder = tmp_path / "out"
    folder.mkdir()
    extract(tmp_path / "archive", folder, ignore)
    for name in ("d/a", "b", "d/c", "e"):
        path = folder / name
        assert path.read_bytes() == b"\0\0\0" and not path.is_symlink() and path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("**/*.jpg", ["a.jpg", "x/y/b.jpg"], ["a.png", "x.jpg/y"]),
        ("*.jpg", ["a.jpg"], ["x/a.jpg"]),
        ("images/**", ["images/a", "images/x/y"], ["images", "other/a"]),
        ("a?[0-9]*/x", ["ab1/x", "ac9zz/x"], ["ab/x", "a/1/x", "abc/x"]),
        ("[!a]b", ["cb"], ["ab", "/b"]),
        ("a.b+(c)", ["a.b+(c)"], ["axb+(c)"]),
    ],
)
def test_globs(pattern: str, inside: list[str], outside: list[str]) -> None:
    assert all(counts(path, (pattern,), ()) for path in inside)
    assert not any(counts(path, (pattern,), ()) for path in outside)
    assert not any(counts(path, (), (pattern,)) for path in inside)
