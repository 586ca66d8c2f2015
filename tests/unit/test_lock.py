"""Locks: made, written, read, and refused where they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.digest import digest_bytes, digest_json
from builder.errors import DatasetError, IntegrityError, InvalidManifest, LockError, StoreUnreachable, UsageError
from builder.lock.check import check_text, locked
from builder.lock.file import load_lock, lock_text, write_lock
from builder.lock.make import make_lock
from builder.lock.model import Lock, LockedSource
from builder.lock.place import lock_path
from builder.lock.sources import source_opener
from builder.lock.toolchains import lock_toolchain, resolve_toolchain
from builder.manifest.load import load
from builder.manifest.source import read_text
from builder.starter import starter_text

IMAGE = "registry.example:5000/python@sha256:" + "ab" * 32


def ignore(kind: str, detail: Mapping[str, Any]) -> None:
    pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A manifest with its source beside it."""
    for folder, name in (("images", "a.jpg"), ("annotations", "a.xml")):
        (tmp_path / "data" / "owls" / folder).mkdir(parents=True)
        (tmp_path / "data" / "owls" / folder / name).write_text(name)
    manifest = tmp_path / "manifests" / "owls.yaml"
    manifest.parent.mkdir()
    manifest.write_text(starter_text("owls"))
    return manifest


def make(path: Path, sources: Mapping[str, Path] | None = None, images: Mapping[str, str] | None = None) -> Lock:
    return make_lock(load(path), path, sources or {}, images or {}, path.parent / "cache", no_release, ignore)


def no_release(ref: str | LockedSource) -> Any:
    raise AssertionError("a release was asked for")


def open_it(path: Path, lock: Lock, sources: Mapping[str, Path] | None = None) -> Path:
    assert lock.dataset is not None
    opened = source_opener(
        load(path).only, lock, path, sources or {}, path.parent / "cache", ignore, no_release, [].append
    )
    return opened(lock.dataset.digest)


def misfit(path: Path, lock: Lock | None) -> list[tuple[str, int, int]]:
    with pytest.raises(InvalidManifest) as caught:
        check_text(load(path), lock, read_text(path), str(path))
    assert all(item.help == f"run: tinsmith lock {path}" for item in caught.value.diagnostics)
    return [(item.code, item.span.line, item.span.column) for item in caught.value.diagnostics]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_lock_fits_the_manifest_it_was_made_for(path: Path) -> None:
    lock = make(path)
    check_text(load(path), lock, read_text(path), str(path))
    assert set(lock.toolchains) == {"tf1.15", "litert"}
    assert lock.dataset is not None and (lock.dataset.files, lock.dataset.bytes) == (2, 10)
    assert open_it(path, lock) == path.parent / "../data/owls"


def test_what_is_written_is_what_is_read(path: Path) -> None:
    lock = make(path)
    write_lock(lock, lock_path(path))
    assert load_lock(lock_path(path)) == lock == locked(load(path), path)
    assert lock_path(path).read_text() == lock_text(lock)
    assert [item.name for item in path.parent.iterdir() if item.suffix != ".yaml"] == ["owls.lock"]


def test_a_lock_has_no_path_of_this_machine(path: Path) -> None:
    assert str(path.parent.parent) not in lock_text(make(path, {"owls": path.parent.parent / "data" / "owls"}))


def test_the_toolchain_of_a_lock_is_that_of_its_folder(path: Path) -> None:
    assert make(path).toolchain("litert") == resolve_toolchain("litert")
    with pytest.raises(ValueError):
        make(path).toolchain("tf9")


def test_another_base_image_is_recorded_and_is_another_toolchain(path: Path) -> None:
    lock, other = make(path), make(path, images={"tf1.15": IMAGE})
    assert other.toolchain("tf1.15").base_image == IMAGE
    assert other.toolchain("tf1.15").digest != lock.toolchain("tf1.15").digest
    assert other.toolchain("litert") == lock.toolchain("litert")
    check_text(load(path), other, read_text(path), str(path))


@pytest.mark.parametrize("images", [{"tf1.15": "python:3.7"}, {"tf1.15": "-x@sha256:" + "a" * 64}, {"tf2": IMAGE}])
def test_base_images_that_are_refused(path: Path, images: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        make(path, images=images)


def test_a_missing_lock(path: Path) -> None:
    with pytest.raises(LockError) as caught:
        load_lock(lock_path(path))
    assert caught.value.code == "not-locked"
    with pytest.raises(InvalidManifest) as told:
        locked(load(path), path)
    assert [item.code for item in told.value.diagnostics] == ["not-locked"] * 3
    assert misfit(path, None) == [("not-locked", 6, 12), ("not-locked", 6, 12), ("not-locked", 11, 11)]


def test_a_lock_of_other_values_is_stale_but_comments_do_not_count(path: Path) -> None:
    lock = make(path)
    replace(path, "steps: 3000", "steps: 3000  # words")
    check_text(load(path), lock, read_text(path), str(path))
    replace(path, "steps: 3000", "steps: 3001")
    assert misfit(path, lock) == [("stale-lock", 4, 7)]


def test_a_lock_is_stale_when_the_toolchain_changes(path: Path) -> None:
    lock = make(path)
    # As if the lock had been made before requirements.lock changed: its digests agree with each other.
    old = lock.toolchains["tf1.15"].model_copy(update={"requirements": digest_bytes(b"older")})
    old = old.model_copy(update={"digest": digest_json(old.identity("tf1.15"))})
    before = lock.model_copy(update={"toolchains": {**lock.toolchains, "tf1.15": old}})
    assert misfit(path, before) == [("stale-lock", 6, 12)]


def test_a_lock_without_a_toolchain_or_the_data(path: Path) -> None:
    lock = make(path)
    part = lock.model_copy(update={"toolchains": {"litert": lock.toolchains["litert"]}, "dataset": None})
    assert misfit(path, part) == [("not-locked", 6, 12), ("not-locked", 11, 11)]


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ('python: "3.7"', 'python: "3.8"', "inconsistent-lock", 11),
        ("files: 2", "files: two", "wrong-type", 21),
        ("files: 2", "fiels: 2", "unknown-key", 21),
        ("schema: 1", "schema: 2", "out-of-range", 2),
        ("name: owls", "name: owls\n  name: eagles", "duplicate-key", 20),
        ("digest: sha256:", "digest: sha1:", "invalid-value", 3),
    ],
)
def test_a_lock_edited_by_hand_is_refused_with_places(path: Path, old: str, new: str, code: str, line: int) -> None:
    write_lock(make(path), lock_path(path))
    replace(lock_path(path), old, new)
    with pytest.raises(InvalidManifest) as caught:
        load_lock(lock_path(path))
    first = caught.value.diagnostics[0]
    assert (first.code, first.span.line, first.span.file) == (code, line, str(lock_path(path)))


def test_data_that_changed_is_refused_before_a_build(path: Path) -> None:
    lock = make(path)
    (path.parent.parent / "data" / "owls" / "images" / "a.jpg").write_text("b.jpg")
    with pytest.raises(IntegrityError) as caught:
        open_it(path, lock)
    assert caught.value.exit_status == 7
    assert lock.dataset is not None and lock.dataset.digest in caught.value.message


def test_an_override_is_checked_like_the_rest(path: Path, tmp_path: Path) -> None:
    lock = make(path)
    copy = tmp_path / "copy"
    (path.parent.parent / "data" / "owls").rename(copy)
    with pytest.raises(DatasetError):
        open_it(path, lock)
    assert open_it(path, lock, {"owls": copy}) == copy
    (copy / "images" / "b.jpg").write_text("one more")
    with pytest.raises(IntegrityError):
        open_it(path, lock, {"owls": copy})
    with pytest.raises(DatasetError):
        open_it(path, lock, {"owls": copy / "none"})


def in_git(path: Path, commit: str = "a" * 40) -> None:
    replace(path, "path: ../data/owls ", f"git: https://host.invalid/owls\n    commit: '{commit}'")


def test_a_commit_that_is_locked_needs_no_data_to_lock_again(path: Path, tmp_path: Path) -> None:
    in_git(path)
    copy = tmp_path / "data" / "owls"
    lock = make(path, {"owls": copy})
    write_lock(lock, lock_path(path))
    replace(path, "steps: 3000", "steps: 3001")
    again = make(path)
    assert again.dataset == lock.dataset and again.manifest_digest != lock.manifest_digest
    (copy / "images" / "b.jpg").write_text("not in the commit")
    with pytest.raises(IntegrityError):
        make(path, {"owls": copy})
    replace(path, "a" * 40, "b" * 40)
    assert make(path, {"owls": copy}).dataset != lock.dataset


def test_a_repository_that_cannot_be_reached(path: Path) -> None:
    in_git(path)
    with pytest.raises(StoreUnreachable) as caught:
        make(path)
    assert caught.value.exit_status == 8 and "--source" in (caught.value.help or "")
    assert not list((path.parent / "cache" / "sources").iterdir())


def test_a_synthetic_dataset_locks_no_data(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "manifests" / "shapes.yaml").read_text()
    path = tmp_path / "shapes.yaml"
    path.write_text(text)
    lock = make(path)
    assert lock.dataset is None and lock.init is None
    write_lock(lock, lock_path(path))
    assert locked(load(path), path) == lock


def test_a_folder_that_is_no_toolchain(tmp_path: Path) -> None:
    with pytest.raises(LockError):
        lock_toolchain("tf1.15", folder=tmp_path)
    (tmp_path / "toolchain.toml").write_text("python = 3")
    with pytest.raises(LockError):
        lock_toolchain("tf1.15", folder=tmp_path)
