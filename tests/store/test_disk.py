"""What the store of one machine has of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.digest import digest_bytes
from builder.errors import IntegrityError, StoreUnreachable
from builder.settings import STORE
from builder.store.base import StepResult
from builder.store.disk import DiskStore
from tests.store.places import put

KEY = digest_bytes(b"key")


def test_no_flipped_byte_of_a_result_makes_another_result(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    result = StepResult(KEY, "train", (put(store, b"weights"),), {"engine": "local"})
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


def test_without_hard_links_the_first_result_stays_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    store = DiskStore(tmp_path)
    first = StepResult(KEY, "train", (put(store, b"one"),), {})
    store.record(first)
    store.record(first)
    with pytest.raises(IntegrityError, match="gave other bytes"):
        store.record(StepResult(KEY, "train", (put(store, b"two"),), {}))
    assert store.lookup(KEY) == first


def test_a_store_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnreachable):
        DiskStore(tmp_path / "file" / "store")


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
