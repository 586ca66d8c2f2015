"""An S3 server that is away, comes back, or refuses: always in plain words, and never later than promised."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from builder.digest import digest_bytes
from builder.errors import IntegrityError, StoreUnreachable, TinsmithError, UsageError
from builder.store.base import StepResult
from builder.store.objects import ObjectStore
from builder.store.places import open_shared, remote_store
from tests.s3 import BUCKET, Server, free_port, server
from tests.store.places import Place, put
from tests.store.test_shared import checkpoint

KEY = digest_bytes(b"key")
PATIENCE = 3.0
SLOW = 20.0
"""What a busy machine may take beside."""


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server for one test, to pause and to stop."""
    with server() as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))
        yield started


def calls(store: ObjectStore, folder: Path) -> dict[str, Callable[[], object]]:
    saved = checkpoint(folder, 1)
    large = folder / "large"
    large.write_bytes(os.urandom(7 << 20))
    digest = digest_bytes(b"weights")
    return {
        "has": lambda: store.has(digest),
        "read": lambda: store.read(digest),
        "copy_to": lambda: store.copy_to(digest, folder / "copy"),
        "write": lambda: store.write_bytes(b"new"),
        "write_large": lambda: store.write(large),
        "lookup": lambda: store.lookup(KEY),
        "record": lambda: store.record(StepResult(KEY, "train", (), {})),
        "recent": lambda: store.recent(3),
        "recorded": lambda: store.recorded(),
        "identity": lambda: store.identity(),
        "save_checkpoint": lambda: store.save_checkpoint(KEY, saved),
        "restore_checkpoints": lambda: store.restore_checkpoints(KEY, folder),
        "drop_checkpoints": lambda: store.drop_checkpoints(KEY),
        "disown": lambda: store.disown(KEY),
    }


@pytest.mark.parametrize("how", ["dead", "paused"])
def test_a_store_that_stays_away_is_given_up_within_patience(mine: Server, tmp_path: Path, how: str) -> None:
    store = remote_store(f"s3://{BUCKET}/a", PATIENCE)
    put(store, b"weights")
    mine.pause() if how == "paused" else mine.stop()
    store = remote_store(f"s3://{BUCKET}/a", PATIENCE)
    took: dict[str, float] = {}

    def give_up(name: str, call: Callable[[], object]) -> None:
        begun = time.monotonic()
        with pytest.raises(StoreUnreachable, match=f"s3://{BUCKET}/a at {mine.url} was away") as caught:
            call()
        took[name] = time.monotonic() - begun
        assert caught.value.exit_status == 8
        assert caught.value.help

    threads = [threading.Thread(target=give_up, args=item) for item in calls(store, tmp_path).items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(took) == set(calls(store, tmp_path))
    assert all(PATIENCE * 0.9 <= seconds < PATIENCE * 1.5 + SLOW for seconds in took.values()), took
    assert not (tmp_path / "copy").exists()


def test_a_store_that_comes_back_in_time_is_waited_for(mine: Server, tmp_path: Path) -> None:
    put(remote_store(f"s3://{BUCKET}/a", 60.0), b"weights")
    mine.pause()
    store = remote_store(f"s3://{BUCKET}/a", 8.0)  # it takes two seconds without an answer for none
    store._bucket._patience = 60.0
    back = threading.Timer(3.0, mine.go_on)
    back.start()

    def took(item: tuple[str, Callable[[], object]]) -> float:
        begun = time.monotonic()
        item[1]()
        return time.monotonic() - begun

    wanted = calls(store, tmp_path)
    with ThreadPoolExecutor(len(wanted)) as pool:
        assert all(seconds > 2.0 for seconds in pool.map(took, wanted.items()))
    back.join()
    assert store.read(digest_bytes(b"weights")) == (tmp_path / "copy").read_bytes() == b"weights"


def test_a_transfer_that_breaks_off_is_begun_again(s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(9 << 20)
    digest = remote_store(f"s3://{BUCKET}/a", 30.0).write_bytes(data)
    with cutting(s3, after=3 << 20, times=2) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store = remote_store(f"s3://{BUCKET}/a", 30.0)
        store.copy_to(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data


@contextmanager
def cutting(server: Server, after: int, times: int) -> Iterator[int]:
    """The port of a way to ``server`` that breaks the first ``times`` answers off after so many bytes."""
    ends: list[socket.socket] = []

    def serve() -> None:
        nonlocal times
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                beyond = socket.create_connection((server.host, server.port))
                ends.extend([client, beyond])
                times -= 1
                for source, target, most in (
                    (client, beyond, 1 << 60),
                    (beyond, client, after if times >= 0 else 1 << 60),
                ):
                    threads.append(threading.Thread(target=pump, args=(source, target, most)))
                    threads[-1].start()

    def pump(source: socket.socket, target: socket.socket, most: int) -> None:
        with suppress(OSError):
            while most > 0 and (data := source.recv(min(most, 1 << 16))):
                target.sendall(data)
                most -= len(data)
        close(source, target)

    def close(*given: socket.socket) -> None:
        for one in given:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=serve)]
        threads[0].start()
        yield int(listener.getsockname()[1])
        close(listener, *ends)
        for thread in threads:
            thread.join()
    for end in ends:
        end.close()


def test_a_file_that_changes_while_it_is_taken_is_not_kept(s3: Server, tmp_path: Path) -> None:
    store, path = remote_store(f"s3://{BUCKET}/changing", PATIENCE), tmp_path / "file"
    path.write_bytes(os.urandom(12 << 20))
    real = store._bucket.upload

    def upload(*arguments: object) -> None:
        path.write_bytes(os.urandom(12 << 20))
        real(*arguments)  # type: ignore[arg-type]

    store._bucket.upload = upload  # type: ignore[method-assign]
    with pytest.raises(TinsmithError, match="changed while it was taken"):
        store.write(path)
    assert store._bucket.listed("blobs") == []


def said_at_once(call: Callable[[], object]) -> StoreUnreachable:
    begun = time.monotonic()
    with pytest.raises(StoreUnreachable) as caught:
        call()
    assert time.monotonic() - begun < SLOW
    assert caught.value.help
    return caught.value


def test_a_bucket_that_is_not_there_is_said_at_once(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path))
    assert "no such bucket" in said_at_once(lambda: open_shared("s3://nobodys/store")).message
    store = remote_store("s3://nobodys/store", 60.0)
    for name in ("write", "write_large", "lookup", "record", "recent", "identity", "save_checkpoint"):
        assert "no such bucket" in said_at_once(calls(store, tmp_path)[name]).message


def test_credentials_that_are_refused_are_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(strict=True) as strict:
        for name, value in strict.environment.items():
            monkeypatch.setenv(name, value)
        store = remote_store(f"s3://{BUCKET}/a", 60.0)
        for name in ("read", "write", "lookup", "record", "recent", "identity"):
            error = said_at_once(calls(store, tmp_path)[name])
            assert "refuses you" in error.message
            assert "AWS_ACCESS_KEY_ID" in str(error.help)
            assert strict.environment["AWS_SECRET_ACCESS_KEY"] not in error.message


def test_no_credentials_are_said_at_once(s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    error = said_at_once(lambda: remote_store(f"s3://{BUCKET}/a", 60.0).check())
    assert "was asked without credentials" in error.message
    assert "AWS_SECRET_ACCESS_KEY" in str(error.help)


def test_an_object_with_a_name_that_cannot_be_is_named(s3: Server) -> None:
    import urllib.request

    request = urllib.request.Request(f"{s3.url}/{BUCKET}/odd/results/%2e%2e/x.json", data=b"{}", method="PUT")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()
    store = remote_store(f"s3://{BUCKET}/odd", PATIENCE)
    for call in (lambda: store.recent(5), store.recorded):
        with pytest.raises(IntegrityError, match=r"results/\.\./x\.json"):
            call()
    assert store.lookup(KEY) is None


def test_a_server_that_lets_the_second_writer_win_is_refused() -> None:
    from obstore.store import MemoryStore

    store = ObjectStore(MemoryStore(), "lax")
    real = store._bucket.create
    store._bucket.create = lambda name, data: real(name, data) or True  # type: ignore[method-assign]
    with pytest.raises(StoreUnreachable, match="overwrite"):
        store.identity()


def test_nobody_listens_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", "AWS_ACCESS_KEY_ID": "a",
                        "AWS_SECRET_ACCESS_KEY": "b", "TINSMITH_STORE_PATIENCE": "0.5"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path))
    with pytest.raises(StoreUnreachable, match=r"was away for 0\.5 s"):
        open_shared("s3://team/store")


@pytest.mark.parametrize(
    "address", ["127.0.0.1:9000", "http://", "http://h:99999", "http://h:x", "ftp://h", "http://u:p@h", "http://h h"]
)
def test_an_endpoint_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL is"):
        remote_store("s3://team/store", PATIENCE)


def test_a_shared_folder_that_fills_up_or_may_not_be_written(tmp_path: Path) -> None:
    place = Place("folder", str(tmp_path / "store"), tmp_path)
    store = place.open()
    blobs = tmp_path / "store" / "blobs"
    put(store, b"one")
    blobs.rename(tmp_path / "away")
    blobs.write_text("a file")  # a folder can no longer be made there, not even by root
    begun = time.monotonic()
    with pytest.raises(StoreUnreachable):
        remote_store(place.url, 0.5).write_bytes(b"two")
    assert time.monotonic() - begun < SLOW
    with pytest.raises(StoreUnreachable, match="cannot be used"):
        remote_store(f"file://{blobs}", 1.0)
    with pytest.raises(StoreUnreachable, match="cannot be used"):
        remote_store(f"file://{tmp_path}/no/such/folder", 1.0)
