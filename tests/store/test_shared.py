"""What a store that machines share promises beyond blobs and results."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.digest import Digest, digest_bytes, hex_of
from builder.errors import IntegrityError
from builder.store.base import SharedStore, StepResult
from builder.store.bucket import PART
from builder.store.objects import ObjectStore
from tests.store.places import SHARED, Place, blob, put, result_name

KEY = digest_bytes(b"key")

pytestmark = pytest.mark.parametrize("place", SHARED, indirect=True)


def opened(place: Place) -> SharedStore:
    return place.open()  # type: ignore[return-value]


def checkpoint(folder: Path, step: int, size: int = 1000) -> Path:
    data = b"state of %d" % step * size
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{step:08d}.checkpoint"
    path.write_bytes(hashlib.sha256(data).digest() + data)
    return path


def kept(place: Place) -> list[int]:
    return [int(name[-19:-11]) for name in place.names(f"checkpoints/{hex_of(KEY)}")]


def test_a_store_has_one_name_for_all_who_reach_it(place: Place, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: opened(place).identity(), range(8)))
    assert len(names) == 1
    assert names == {opened(place).identity()}
    assert opened(Place(place.kind, place.where + "-other", tmp_path)).identity() not in names


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format":2,"id":"x"}', b'{"format":1,"id":4}', b"[" * 10**6])
def test_a_name_that_cannot_be_read_is_one_clear_error(place: Place, damage: bytes) -> None:
    place.put("store.json", damage)
    with pytest.raises(IntegrityError, match=r"store\.json of the store"):
        opened(place).identity()


def test_the_newest_two_checkpoints_of_a_step_are_kept_and_given_back(place: Place, tmp_path: Path) -> None:
    store = opened(place)
    assert store.restore_checkpoints(KEY, tmp_path / "none") == 0
    for step in (100, 200, 300):
        store.save_checkpoint(KEY, checkpoint(tmp_path / "out", step, 600_000 if step == 300 else 10))
    store.save_checkpoint(digest_bytes(b"other"), checkpoint(tmp_path / "out", 400))
    assert kept(place) == [200, 300]
    assert opened(place).stopped() == {KEY, digest_bytes(b"other")}
    there = tmp_path / "there" / "checkpoints"
    assert opened(place).restore_checkpoints(KEY, there) == 2
    assert sorted(path.name for path in there.iterdir()) == ["step-00000200.checkpoint", "step-00000300.checkpoint"]
    for path in there.iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
        assert path.stat().st_mode & 0o444 == 0o444
    assert store.restore_checkpoints(KEY, there) == 0
    store.drop_checkpoints(KEY)
    store.drop_checkpoints(KEY)
    assert kept(place) == []
    assert opened(place).stopped() == {digest_bytes(b"other")}


def test_a_checkpoint_is_never_restored_over_a_file_nor_damaged(place: Place, tmp_path: Path) -> None:
    store = opened(place)
    for step in (100, 200):
        store.save_checkpoint(KEY, checkpoint(tmp_path / "out", step))
    name = f"checkpoints/{hex_of(KEY)}/step-00000200.checkpoint"
    whole = place.get(name)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "step-00000100.checkpoint").write_bytes(b"mine")
    for damaged in (whole[:-1], whole[:20], b"", whole[:50] + b"!" + whole[51:], b"!" + whole[1:]):
        place.put(name, damaged)
        assert opened(place).restore_checkpoints(KEY, mine) == 0
        assert [path.name for path in mine.iterdir()] == ["step-00000100.checkpoint"]
    assert (mine / "step-00000100.checkpoint").read_bytes() == b"mine"
    for odd in ("step-1.checkpoint", "notes", "step-00000900.checkpoint.tmp", "deeper/step-00000900.checkpoint"):
        place.put(f"checkpoints/{hex_of(KEY)}/{odd}", whole)
    assert opened(place).restore_checkpoints(KEY, tmp_path / "new") == 1


def test_a_checkpoint_that_its_training_has_removed_is_passed_over(place: Place, tmp_path: Path) -> None:
    store = opened(place)
    gone = checkpoint(tmp_path / "out", 100)
    gone.unlink()
    store.save_checkpoint(KEY, gone)
    assert kept(place) == []


def test_what_only_looks_like_a_checkpoint_is_passed_over(place: Place, tmp_path: Path) -> None:
    store, secret = opened(place), tmp_path / "secret"
    secret.write_bytes(b"of this machine")
    for step, make in ((100, lambda path: path.symlink_to(secret)), (200, os.mkfifo), (300, Path.mkdir)):
        path = checkpoint(tmp_path / "out", step)
        path.unlink()
        make(path)
        store.save_checkpoint(KEY, path)
    assert kept(place) == []


def test_who_disowns_a_result_lets_the_one_be_that_came_in_its_place(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(place)
    store.record(StepResult(KEY, "train", (put(store, b"weights"),), {}))
    artifact = put(store, b"healed weights")
    other = StepResult(KEY, "train", (artifact,), {"worker": "another"})

    def meanwhile(self: ObjectStore, digest: Digest) -> None:
        place.remove(result_name(KEY))
        store.record(other)

    monkeypatch.setattr(ObjectStore, "_sound_or_aside", meanwhile)
    store.disown(KEY)
    assert opened(place).lookup(KEY) == other


def test_a_result_that_is_disowned_is_made_again(place: Place) -> None:
    store = opened(place)
    good, bad = put(store, b"good", "a"), put(store, b"poisoned", "b")
    store.record(StepResult(KEY, "train", (good, bad), {}))
    place.put(blob(bad.digest), b"poisone!")
    recorded = place.get(result_name(KEY))
    opened(place).disown(KEY)
    assert store.lookup(KEY) is None
    assert store.has(good.digest)
    assert not store.has(bad.digest)
    assert place.get(f"damaged/{hex_of(bad.digest)}") == b"poisone!"
    assert place.get(f"damaged/{hex_of(KEY)}.json") == recorded
    other = StepResult(KEY, "train", (put(store, b"healed"),), {})
    store.record(other)
    assert opened(place).lookup(KEY) == other


def test_what_is_damaged_or_missing_can_be_disowned_too(place: Place) -> None:
    store = opened(place)
    store.disown(KEY)
    artifact = put(store, b"weights")
    store.record(StepResult(KEY, "train", (artifact,), {}))
    place.remove(blob(artifact.digest))
    store.disown(KEY)
    assert store.recorded() == frozenset()
    place.put(result_name(KEY), b"{")
    store.disown(KEY)
    assert opened(place).lookup(KEY) is None


def test_what_is_recorded_is_known_from_one_listing(place: Place) -> None:
    store = opened(place)
    assert store.recorded() == store.stopped() == frozenset()
    keys = {digest_bytes(str(number).encode()) for number in range(30)}
    for key in keys:
        store.record(StepResult(key, "train", (), {}))
    for name in ("notes.json", f"{hex_of(KEY)}.txt", f"deeper/{hex_of(KEY)}.json", f"{hex_of(KEY)[1:]}.json"):
        place.put(f"results/{name}", json.dumps({}).encode())
    assert opened(place).recorded() == keys


@pytest.mark.parametrize("size", [100, PART + 100])
def test_who_writes_a_blob_answers_for_it_where_another_was_first(place: Place, tmp_path: Path, size: int) -> None:
    data, wrong = bytes(size), bytes(size - 1) + b"\1"
    place.put(blob(digest_bytes(data)), wrong)
    (tmp_path / "file").write_bytes(data)
    assert opened(place).write(tmp_path / "file") == digest_bytes(data)
    assert opened(place).read(digest_bytes(data)) == data
    assert place.names("damaged") == [f"damaged/{hex_of(digest_bytes(data))}"]
