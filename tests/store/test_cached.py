"""The cache of a machine before a shared store: quicker, bounded, and never believed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from builder.digest import Digest, digest_bytes, hex_of
from builder.errors import IntegrityError
from builder.store.base import StepResult
from builder.store.cached import CachedStore
from builder.store.disk import DiskStore
from builder.store.objects import ObjectStore
from tests.store.places import put

KEY = digest_bytes(b"key")
BLOB = 10_000


class Counted(ObjectStore):
    """A shared store that counts the blobs that are read from it."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "memory", 1.0)
        self.reads = 0

    def read(self, digest: Digest) -> bytes:
        self.reads += 1
        return super().read(digest)

    def copy_to(self, digest: Digest, path: Path) -> None:
        self.reads += 1
        super().copy_to(digest, path)


def cached(remote: ObjectStore, folder: Path, most: int = 1 << 30) -> CachedStore:
    return CachedStore(remote, DiskStore(folder), most)


def local_blob(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / "sha256" / hex_of(digest)


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "blobs" / "sha256").iterdir())


READS: dict[str, Callable[[CachedStore, Digest, Path], bytes]] = {
    "read": lambda store, digest, path: store.read(digest),
    "copy_to": lambda store, digest, path: (store.copy_to(digest, path), path.read_bytes())[1],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_blob_travels_once(tmp_path: Path, read: Callable[[CachedStore, Digest, Path], bytes]) -> None:
    remote = Counted()
    digest = remote.write_bytes(b"weights")
    store = cached(remote, tmp_path / "cache")
    for number in range(3):
        assert read(store, digest, tmp_path / str(number)) == b"weights"
    assert remote.reads == 1
    own = store.write_bytes(b"made here")
    (tmp_path / "file").write_bytes(b"and here")
    assert remote.has(own)
    assert remote.has(store.write(tmp_path / "file"))
    assert store.read(own) + store.read(digest_bytes(b"and here")) == b"made hereand here"
    assert remote.reads == 1


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_damaged_copy_heals_itself(tmp_path: Path, read: Callable[[CachedStore, Digest, Path], bytes]) -> None:
    remote, folder = Counted(), tmp_path / "cache"
    store = cached(remote, folder)
    digest = store.write_bytes(b"weights")
    for number, damage in enumerate((b"weightz", b"", b"weights and more")):
        path = local_blob(folder, digest)
        path.chmod(0o644)
        path.write_bytes(damage)
        assert read(store, digest, tmp_path / str(number)) == b"weights"
        assert path.read_bytes() == b"weights"
    assert remote.reads == 3
    assert list((folder / "damaged").iterdir()) == []


def test_damage_in_the_shared_store_is_not_hidden(tmp_path: Path) -> None:
    import obstore

    below = MemoryStore()
    remote = ObjectStore(below, "memory")
    digest = remote.write_bytes(b"weights")
    obstore.put(below, f"blobs/sha256/{hex_of(digest)}", b"weightz")
    store = cached(remote, tmp_path / "cache")
    with pytest.raises(IntegrityError):
        store.read(digest)
    assert used(tmp_path / "cache") == 0
    assert not store.has(digest)


def test_results_are_the_shared_stores_alone(tmp_path: Path) -> None:
    remote = Counted()
    store, other = cached(remote, tmp_path / "one"), cached(remote, tmp_path / "two")
    artifact = put(store, b"weights")
    store.record(StepResult(KEY, "train", (artifact,), {}))
    assert other.lookup(KEY) is not None
    assert [item.key for item in other.recent(9)] == [KEY]
    other.disown(KEY)
    assert store.lookup(KEY) is None
    assert store.recent(9) == []
    # A blob that only this machine still has is none that another can read.
    gone = cached(Counted(), tmp_path / "one")
    assert not gone.has(artifact.digest)


@pytest.mark.parametrize("fill", ["write", "read"])
def test_the_blobs_that_nobody_read_for_longest_go(tmp_path: Path, fill: str) -> None:
    remote, folder, most = Counted(), tmp_path / "cache", 20 * BLOB
    store = cached(remote, folder, most)
    favourite = remote.write_bytes(b"f" * BLOB)
    digests = []
    for number in range(60):
        data = b"%06d" % number * (BLOB // 6)
        if fill == "write":
            digests.append(store.write_bytes(data))
        else:
            digests.append(remote.write_bytes(data))
            assert store.read(digests[-1]) == data
        assert store.read(favourite) == b"f" * BLOB
        assert used(folder) <= most
    assert local_blob(folder, favourite).exists()
    assert local_blob(folder, digests[-1]).exists()
    assert not local_blob(folder, digests[0]).exists()
    assert used(folder) > most // 2
    assert store.read(digests[0]) == b"000000" * (BLOB // 6)


def test_what_is_larger_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    remote = Counted()
    store = cached(remote, tmp_path / "cache", BLOB)
    small = store.write_bytes(b"small")
    digest = store.write_bytes(b"x" * (BLOB + 1))
    assert store.read(digest) == b"x" * (BLOB + 1)
    store.copy_to(digest, tmp_path / "copy")
    assert remote.reads == 2
    assert store.read(small) == b"small"
    assert remote.reads == 2
    nothing = cached(remote, tmp_path / "nothing", 0)
    assert nothing.read(small) == b"small"


def test_many_read_while_others_make_room(tmp_path: Path) -> None:
    remote, folder = Counted(), tmp_path / "cache"
    data = {digest_bytes(text): text for text in (b"%04d" % number * 2500 for number in range(30))}
    for text in data.values():
        remote.write_bytes(text)
    stop = threading.Event()

    def read(number: int) -> int:
        store, count = cached(remote, folder, 8 * BLOB), 0
        order = sorted(data, key=lambda digest: digest_bytes(f"{number}{digest}".encode()))
        for round_number in range(6):
            for digest in order:
                path = tmp_path / f"{number}-{round_number}-{hex_of(digest)}"
                if count % 2:
                    store.copy_to(digest, path)
                    assert path.read_bytes() == data[digest]
                else:
                    assert store.read(digest) == data[digest]
                count += 1
        return count

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(read, range(6))) == 6 * 6 * 30
    stop.set()
    assert used(folder) <= 8 * BLOB * 1.5  # six of them, and each may have added a twentieth and a blob


def test_a_full_disk_only_makes_it_slow(tmp_path: Path) -> None:
    remote, folder = Counted(), tmp_path / "cache"
    store = cached(remote, folder)
    (folder / "tmp").rmdir()
    (folder / "tmp").write_text("nothing can be written here")
    digest = store.write_bytes(b"weights")
    assert store.read(digest) == b"weights"
    store.copy_to(digest, tmp_path / "copy")
    assert remote.reads == 2


def test_steps_work_on_this_machine_and_are_swept_by_what_the_shared_store_has(tmp_path: Path) -> None:
    remote, folder = Counted(), tmp_path / "cache"
    store = cached(remote, folder)
    for key in (KEY, digest_bytes(b"unfinished")):
        with store.claimed(key) as work:
            saved = work / "out" / "checkpoints" / "step-00000010.checkpoint"
            saved.parent.mkdir(parents=True)
            saved.write_bytes(os.urandom(10))
    remote.record(StepResult(KEY, "train", (), {}))
    assert store.sweep([]) == 0
    left = {path.name.removesuffix(".lock") for path in (folder / "work").iterdir()}
    assert left == {hex_of(digest_bytes(b"unfinished"))}
