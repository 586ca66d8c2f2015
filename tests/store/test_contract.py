"""Blobs and results: the same promises from every store."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from builder.digest import Digest, canonical_json, digest_bytes, digest_json, hex_of
from builder.errors import IntegrityError
from builder.store.base import StepResult
from tests.store.places import Place, blob, put, result_name

KEY = digest_bytes(b"key")
LARGE = 11 << 20


@pytest.mark.parametrize("size", [0, 1, 100_000, LARGE])
def test_a_blob_comes_back_and_is_named_by_its_digest(place: Place, tmp_path: Path, size: int) -> None:
    store, data, path = place.open(), os.urandom(size), tmp_path / "file"
    path.write_bytes(data)
    digest = store.write(path)
    assert digest == digest_bytes(data) == store.write(path) == store.write_bytes(data)
    for reader in (store, place.open()):
        assert reader.has(digest)
        assert reader.read(digest) == data
        copy = tmp_path / "out" / f"copy-{id(reader)}"
        reader.copy_to(digest, copy)
        assert copy.read_bytes() == data
    assert place.names("blobs") == [blob(digest)]


@pytest.mark.parametrize("access", ["read", "copy_to"])
def test_a_blob_that_is_missing_is_one_clear_error(place: Place, tmp_path: Path, access: str) -> None:
    store, digest = place.open(), digest_bytes(b"nobody's")
    assert not store.has(digest)
    with pytest.raises(IntegrityError, match="no blob sha256:"):
        store.read(digest) if access == "read" else store.copy_to(digest, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("size", [7, LARGE])
@pytest.mark.parametrize("access", ["read", "copy_to"])
def test_a_damaged_blob_is_refused_set_aside_and_made_anew(
    place: Place, tmp_path: Path, access: str, size: int
) -> None:
    data = os.urandom(size)
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    digest = place.open().write_bytes(data)
    place.put(blob(digest), damaged)
    reader = place.open()
    with pytest.raises(IntegrityError, match="other bytes than its name says"):
        reader.read(digest) if access == "read" else reader.copy_to(digest, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert not reader.has(digest)
    assert place.get(f"damaged/{hex_of(digest)}") == damaged
    assert reader.write_bytes(data) == digest
    assert place.open().read(digest) == data


def test_a_blob_that_lost_its_end_counts_as_none_and_is_written_again(place: Place) -> None:
    store = place.open()
    artifact = put(store, b"weights")
    store.record(StepResult(KEY, "train", (artifact,), {}))
    place.put(blob(artifact.digest), b"weigh")
    other = place.open()
    assert other.lookup(KEY) is None
    put(other, b"weights")
    assert other.lookup(KEY) is not None
    assert other.read(artifact.digest) == b"weights"


def test_a_result_counts_only_while_all_its_blobs_are_there(place: Place) -> None:
    store = place.open()
    artifacts = tuple(put(store, f"weights {number}".encode(), f"out/{number}") for number in range(40))
    result = StepResult(KEY, "train", artifacts, {"seconds": 1, "engine": "local"})
    assert store.lookup(KEY) is None
    store.record(result)
    assert store.lookup(KEY) == place.open().lookup(KEY) == result
    place.remove(blob(artifacts[17].digest))
    assert store.lookup(KEY) is None
    other = StepResult(KEY, "train", (put(store, b"again"),), {})
    store.record(other)
    assert place.open().lookup(KEY) == other


def test_a_key_never_gets_other_bytes(place: Place) -> None:
    store = place.open()
    first = StepResult(KEY, "train", (put(store, b"one"),), {"seconds": 1})
    store.record(first)
    place.open().record(StepResult(KEY, "train", first.artifacts, {"seconds": 2}))
    with pytest.raises(IntegrityError, match="gave other bytes"):
        place.open().record(StepResult(KEY, "train", (put(store, b"two"),), {}))
    assert store.lookup(KEY) == first


def _document(**changed: object) -> bytes:
    document = {"key": KEY, "step": "train", "artifacts": [], "run": {}, **changed}
    return canonical_json({**document, "digest": digest_json(document)})


def _file(path: object, digest: object = KEY, size: object = 1) -> bytes:
    return _document(artifacts=[{"path": path, "digest": digest, "size": size}])


DAMAGE = {
    "half": _document()[:-9],
    "empty": b"",
    "no-text": b"\xff\xfe\x00",
    "huge": b"[" + b"1," * (9 << 20) + b"1]",
    "deep": b"[" * 100_000,
    "deep-inside": _document()[:-1] + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a-list": b"[1]",
    "a-number": b"1" * 5000,
    "of-another-key": _document(key=digest_bytes(b"other")),
    "other-contents": _document().replace(b'"train"', b'"trai"'),
    "no-artifacts": _document(artifacts=None),
    "run-of-text": _document(run="fast"),
    "path-outside": _file("../../.bashrc"),
    "path-absolute": _file("/etc/passwd"),
    "path-of-nothing": _file("."),
    "path-with-nul": _file("a\0b"),
    "path-a-number": _file(1),
    "size-below-nothing": _file("a", size=-1),
    "size-a-half": _file("a", size=0.5),
    "digest-of-nothing": _file("a", digest="sha256:12"),
    "infinite": b'{"digest":"x","size":1e999}',
    "lone-surrogate": b'{"digest":"x","step":"\\ud800"}',
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_result_is_set_aside_and_the_step_runs_again(place: Place, damage: str) -> None:
    store, aside = place.open(), f"damaged/{hex_of(KEY)}.json"
    place.put(result_name(KEY), DAMAGE[damage])
    assert store.recent(5) == []
    with pytest.raises(IntegrityError, match="is damaged"):
        store.lookup(KEY)
    assert place.get(aside) == DAMAGE[damage]
    assert store.lookup(KEY) is None
    place.put(result_name(KEY), DAMAGE[damage])  # and where nobody has looked before
    result = StepResult(KEY, "train", (put(store, b"weights"),), {})
    store.record(result)
    assert place.open().lookup(KEY) == result


def test_a_result_of_an_older_tinsmith_counts_as_none(place: Place) -> None:
    store = place.open()
    place.put(result_name(KEY), json.dumps({"key": KEY, "step": "train", "artifacts": [], "run": {}}).encode())
    assert store.lookup(KEY) is None
    store.record(StepResult(KEY, "train", (), {}))
    assert store.lookup(KEY) is not None


def test_the_results_recorded_last_are_found_whatever_lies_beside_them(place: Place) -> None:
    store = place.open()
    keys = [digest_bytes(str(number).encode()) for number in range(6)]
    for key in keys:
        store.record(StepResult(key, "train", (), {"seconds": 1}))
        time.sleep(1.01 if place.kind in ("s3", "cached") and key == keys[2] else 0.01)
    place.put(result_name(digest_bytes(b"half")), b'{"key"')
    for name in ("notes.txt", "we ird%20 ü.json", "x" * 60 + ".json", "sha256:12.json"):
        place.put(f"results/{name}", b"{}")
    assert {item.key for item in store.recent(100)} == set(keys)
    assert {item.key for item in store.recent(4)} == set(keys[3:])
    assert store.recent(0) == []


def test_a_copy_is_never_made_over_a_file(place: Place, tmp_path: Path) -> None:
    store, target = place.open(), tmp_path / "mine"
    digest: Digest = store.write_bytes(b"weights")
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        store.copy_to(digest, target)
    assert target.read_bytes() == b"precious"
