from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from builder.digest import digest_bytes
from builder.errors import IntegrityError, StoreUnreachable
from builder.settings import STORE
from builder.store.base import Artifact, StepResult
from builder.store.disk import DiskStore

KEY = digest_bytes(b"key")


def put(store: DiskStore, folder: Path, data: bytes) -> Artifact:
    path = folder / "file"
    path.write_bytes(data)
    return Artifact("file", store.write(path), len(data))


def test_a_blob_comes_back_and_is_named_by_its_digest(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    artifact = put(store, tmp_path, b"weights")
    assert artifact.digest == digest_bytes(b"weights")
    assert store.read(artifact.digest) == b"weights"
    store.copy_to(artifact.digest, tmp_path / "out" / "copy")
    assert (tmp_path / "out" / "copy").read_bytes() == b"weights"


@pytest.mark.parametrize("access", ["read", "copy_to"])
def test_a_damaged_blob_is_refused_and_set_aside(tmp_path: Path, access: str) -> None:
    store = DiskStore(tmp_path / "store")
    digest = put(store, tmp_path, b"weights").digest
    blob = tmp_path / "store" / "blobs" / "sha256" / digest.removeprefix("sha256:")
    blob.chmod(0o644)
    blob.write_bytes(b"weightz")
    with pytest.raises(IntegrityError):
        store.read(digest) if access == "read" else store.copy_to(digest, tmp_path / "copy")
    assert not store.has(digest)
    assert not (tmp_path / "copy").exists()


def test_a_result_counts_only_while_all_its_blobs_are_there(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    artifact = put(store, tmp_path, b"weights")
    result = StepResult(KEY, "train", (artifact,), {"seconds": 1})
    assert store.lookup(KEY) is None
    store.record(result)
    assert store.lookup(KEY) == result
    (tmp_path / "store" / "blobs" / "sha256" / artifact.digest.removeprefix("sha256:")).unlink()
    assert store.lookup(KEY) is None
    other = StepResult(KEY, "train", (put(store, tmp_path, b"again"),), {})
    store.record(other)
    assert store.lookup(KEY) == other


def test_a_key_never_gets_other_bytes(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    store.record(StepResult(KEY, "train", (put(store, tmp_path, b"one"),), {}))
    with pytest.raises(IntegrityError):
        store.record(StepResult(KEY, "train", (put(store, tmp_path, b"two"),), {}))


def test_no_flipped_byte_of_a_result_makes_another_result(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    result = StepResult(KEY, "train", (put(store, tmp_path, b"weights"),), {"engine": "local"})
    store.record(result)
    path = tmp_path / "store" / "results" / (KEY.removeprefix("sha256:") + ".json")
    path.chmod(0o644)
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert store.lookup(KEY) is None  # then the step runs again
        except IntegrityError:
            refused += 1
    assert refused >= len(whole) - len('"digest"')
    path.write_bytes(whole)
    assert store.lookup(KEY) == result


def test_a_damaged_result_is_an_integrity_error(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    path = tmp_path / "store" / "results" / (KEY.removeprefix("sha256:") + ".json")
    path.write_text(json.dumps({"key": KEY})[:-1])
    with pytest.raises(IntegrityError):
        store.lookup(KEY)


def test_a_store_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnreachable):
        DiskStore(tmp_path / "file" / "store")


def _write_for_ever(root: Path, source: Path) -> None:
    store = DiskStore(root)
    number = 0
    while True:
        source.write_bytes(os.urandom(1 << 16))
        digest = store.write(source)
        number += 1
        store.record(StepResult(digest, "step", (Artifact("file", digest, 1 << 16),), {"number": number}))


def test_a_writer_killed_at_any_moment_leaves_the_store_valid(tmp_path: Path) -> None:
    root = tmp_path / "store"
    context = multiprocessing.get_context("spawn")
    for delay in (0.01, 0.05, 0.1):
        writer = context.Process(target=_write_for_ever, args=(root, tmp_path / "source"))
        before = recorded(root)
        writer.start()
        # How long a process takes to start is the machine's affair: the moment counts from its first result on.
        deadline = time.monotonic() + 60
        while recorded(root) == before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    store = DiskStore(root)
    results = sorted((root / "results").iterdir())
    assert len(results) >= 3
    for path in results:
        found = store.lookup(digest_of(path))
        assert found is not None
        assert store.read(found.artifacts[0].digest)


def recorded(root: Path) -> int:
    return len(list((root / "results").glob("*.json")))


def digest_of(path: Path):  # type: ignore[no-untyped-def]
    from builder.digest import parse_digest

    return parse_digest(f"sha256:{path.stem}")


def test_git_does_not_see_a_store_in_its_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DiskStore(Path("elsewhere/store"))
    assert not Path("elsewhere/.gitignore").exists()
    DiskStore(STORE)
    ignored = Path(".tinsmith/.gitignore")
    assert ignored.read_text() == "*\n"
    ignored.write_text("mine")
    DiskStore(STORE.absolute())
    assert ignored.read_text() == "mine"
    assert list(Path(".tinsmith/store/tmp").iterdir()) == []
