"""What of a cluster build needs no cluster: the graph, what travels, events on their way, data through the store."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from builder.checkpoints import drop, kept
from builder.cluster.events import Sender
from builder.cluster.graph import graph_of
from builder.cluster.job import publish_code, read_code
from builder.cluster.sources import is_published, materialise, publish
from builder.digest import Digest, canonical_json, digest_bytes, digest_json
from builder.errors import IntegrityError, Interrupted, StoreUnreachable
from builder.lock.content import dataset_digest
from builder.plan.step import Plan, Step, StepInput
from builder.progress.clean import LONGEST_TEXT
from builder.store.cached import CachedStore
from builder.store.disk import DiskStore
from tests.fakes import Events
from tests.unit.test_build import CODE, NONE, TOOLCHAIN


def step(name: str, *needs: str, key: str = "") -> Step:
    inputs = tuple(StepInput(need, step=need) for need in needs)
    return Step(name, name, TOOLCHAIN, {}, inputs, ("run.py",), digest_json(key or name))


def plan(name: str, *steps: Step) -> Plan:
    return Plan(name, "1.0.0", steps, steps[-1].name, NONE)


TRAINING = Step("train", "train", TOOLCHAIN, {}, (), (), digest_json("training"), resumable=True)
WIDE = plan("wide", step("ingest"), step("train", "ingest"), step("export", "train"))
SLIM = plan("slim", step("ingest"), step("train", "ingest", key="slim"), step("export", "train", key="slim export"))


def test_what_plans_share_is_in_the_graph_once() -> None:
    graph = graph_of([WIDE, SLIM])
    assert len(graph.steps) == 5
    slim = digest_json("slim export")
    assert graph.needs[slim] == {"train": digest_json("slim")}
    assert list(graph.steps).index(digest_json("slim")) < list(graph.steps).index(slim)
    assert graph.last() == {digest_json("export"), slim}


def test_what_needs_a_failed_step_is_known() -> None:
    graph = graph_of([WIDE, SLIM])
    assert graph.after({digest_json("slim")}) == {digest_json("slim export")}
    assert len(graph.after({digest_json("ingest")})) == 4
    left = graph.without({digest_json("ingest"), digest_json("train")})
    assert set(left.steps) == {digest_json("export"), digest_json("slim"), digest_json("slim export")}


def test_step_code_travels_through_the_store(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    some = Step("train", "train", TOOLCHAIN, {}, (), ("run.py", "train.py"), NONE)
    assert read_code(publish_code(some, {**CODE, "train.py": b"1"}, store), store) == {"run.py": b"", "train.py": b"1"}
    with pytest.raises(IntegrityError, match="no list of step code"):
        read_code(store.write_bytes(b"[1]"), store)


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, Digest, bytes]:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"a")
    (folder / "deep" / "b.jpg").write_bytes(b"b")
    found = dataset_digest(folder, ["."])
    return folder, found.digest, found.listing


def test_data_comes_out_of_the_store_as_it_went_in(tmp_path: Path, photos: tuple[Path, Digest, bytes]) -> None:
    folder, digest, listing = photos
    store = DiskStore(tmp_path / "store")
    assert not is_published(digest, store)
    publish(folder, listing, store, Events())
    assert is_published(digest, store)
    there = materialise(digest, store, tmp_path / "cache")
    assert dataset_digest(there, ["a.jpg", "deep"]).digest == digest
    (there / "a.jpg").chmod(0o644)
    (there / "a.jpg").write_bytes(b"other")
    (there / "extra.jpg").write_bytes(b"c")
    again = materialise(digest, store, tmp_path / "cache")
    assert sorted(path.name for path in again.rglob("*.jpg")) == ["a.jpg", "b.jpg"]
    assert (again / "a.jpg").read_bytes() == b"a"


def test_data_that_changes_meanwhile_is_not_published(tmp_path: Path, photos: tuple[Path, Digest, bytes]) -> None:
    folder, digest, listing = photos
    (folder / "a.jpg").write_bytes(b"edited")
    store = DiskStore(tmp_path / "store")
    with pytest.raises(IntegrityError, match="changed while it was sent"):
        publish(folder, listing, store, Events())
    assert not is_published(digest, store)


@pytest.mark.parametrize("path", ["../out", "/tmp/out", "a/../../out", "a//b"])
def test_a_listing_cannot_lead_out_of_its_folder(tmp_path: Path, path: str) -> None:
    store = DiskStore(tmp_path / "store")
    blob = store.write_bytes(b"x")
    listing = canonical_json([{"path": path, "sha256": blob.removeprefix("sha256:"), "size": 1}])
    with pytest.raises(IntegrityError, match="outside its folder"):
        materialise(store.write_bytes(listing), store, tmp_path / "cache")


def sender(sent: list[Any], seconds: list[float], unwanted: bool = False) -> Sender:
    return Sender(NONE, "train", "w1", lambda topic, events: sent.extend(events), lambda: unwanted, lambda: seconds[0])


def test_events_say_of_which_step_and_worker_they_are_and_are_thinned_out() -> None:
    sent: list[Any] = []
    now = [10.0]
    emit = sender(sent, now)
    for at in range(100):
        now[0] = 10 + at / 100
        emit("progress", {"step": at, "steps": 100})
        emit("log", {"text": "line"})
    progress = [event["detail"] for event in sent if event["kind"] == "progress"]
    assert [detail["step"] for detail in progress] == [0, 50]
    assert {(detail["key"], detail["name"], detail["worker"]) for detail in progress} == {(NONE, "train", "w1")}
    assert sum(event["kind"] == "log" for event in sent) == 20
    emit("started", {})
    assert sent[-1] == {"kind": "started", "detail": {"step": "train", "key": NONE, "name": "train", "worker": "w1"}}


def test_what_a_step_uses_is_not_sent() -> None:
    sent: list[Any] = []
    sender(sent, [10.0])("usage", {"memory_mb": 12.5})
    assert sent == []


def test_events_of_a_step_can_be_sent_whatever_it_says() -> None:
    sent: list[Any] = []
    emit = sender(sent, [10.0])
    emit("message", {"text": "x" * 10**6, "a": 10**30, "b": float("nan"), "c": "\ud800\x1b[2J", "d": {1: b"", "e": []}})
    detail = sent[0]["detail"]
    assert len(detail["text"]) == LONGEST_TEXT and detail["c"] == "??[2J"
    assert detail["a"] is None and detail["b"] is None and detail["d"] == {"1": None, "e": []}
    emit("message", {"texts": ["x" * 1000] * 100})
    for _ in range(100):
        emit("anything", {})
    assert len(sent) == 19


@pytest.mark.parametrize("kind", ["progress", "usage"])
def test_a_step_that_nobody_waits_for_is_ended(kind: str) -> None:
    with pytest.raises(Interrupted):
        sender([], [0.0], unwanted=True)(kind, {})


class _Remote:
    """What a shared store keeps of trainings, in memory."""

    def __init__(self, **saved: bytes) -> None:
        self.saved, self.down = saved, False

    def save_checkpoint(self, key: Digest, path: Path) -> None:
        if self.down:
            raise StoreUnreachable("no answer")
        self.saved[path.stem] = path.read_bytes()

    def restore_checkpoints(self, key: Digest, folder: Path) -> int:
        for name, data in self.saved.items():
            (folder / f"{name}.checkpoint").write_bytes(data)
        return len(self.saved)

    def drop_checkpoints(self, key: Digest) -> None:
        self.saved.clear()


def before_the_shared(remote: _Remote, folder: Path) -> CachedStore:
    return CachedStore(remote, DiskStore(folder / "store"), 1 << 20)  # type: ignore[arg-type]


def test_checkpoints_come_from_the_store_and_new_ones_go_there(tmp_path: Path) -> None:
    remote, events = _Remote(first=b"1"), Events()
    store, folder = before_the_shared(remote, tmp_path), tmp_path / "out" / "checkpoints"
    with kept(TRAINING, tmp_path, store, events):
        assert (folder / "first.checkpoint").read_bytes() == b"1"
        (folder / "first.checkpoint").unlink()
        (folder / "second.checkpoint").write_bytes(b"2")
        (folder / "unfinished.tmp").write_bytes(b"3")
    assert remote.saved == {"first": b"1", "second": b"2"}
    assert [item["text"] for item in events.of("message")] == ["1 checkpoint(s) from the store"]
    drop(TRAINING, store)
    assert not remote.saved


def test_a_store_that_is_down_ends_no_training(tmp_path: Path) -> None:
    remote, events = _Remote(), Events()
    remote.down = True
    with kept(TRAINING, tmp_path, before_the_shared(remote, tmp_path), events):
        (tmp_path / "out" / "checkpoints" / "second.checkpoint").write_bytes(b"2")
    assert "second.checkpoint is not in the store yet: no answer" in [item["text"] for item in events.of("message")]


def test_a_step_may_leave_anything_where_checkpoints_lie(tmp_path: Path) -> None:
    remote, elsewhere = _Remote(), tmp_path / "elsewhere"
    store, folder = before_the_shared(remote, tmp_path), tmp_path / "out" / "checkpoints"
    elsewhere.mkdir()
    (elsewhere / "first.checkpoint").write_bytes(b"1")
    folder.parent.symlink_to(elsewhere)
    with kept(TRAINING, tmp_path, store, Events()):
        assert not (elsewhere / "checkpoints").exists()
        folder.rmdir()
        folder.symlink_to(elsewhere)
    assert not remote.saved


@pytest.mark.parametrize("resumable", [True, False])
def test_nothing_is_kept_apart_where_there_is_no_need(tmp_path: Path, resumable: bool) -> None:
    remote = _Remote(first=b"1")
    store = DiskStore(tmp_path / "own") if resumable else before_the_shared(remote, tmp_path)
    step = dataclasses.replace(TRAINING, resumable=resumable)
    with kept(step, tmp_path, store, Events()):
        assert not (tmp_path / "out").exists()
    drop(step, store)
    assert remote.saved


def test_jobs_of_two_users_are_equal() -> None:
    import pickle

    from builder.cluster.job import Job

    jobs = [Job("1", "store", step("train", "ingest"), NONE, {"ingest": digest_bytes(b"1")}) for _ in range(2)]
    assert hashlib.sha256(pickle.dumps(jobs[0])).digest() == hashlib.sha256(pickle.dumps(jobs[1])).digest()


def test_what_is_prepared_is_told_with_what_comes_next() -> None:
    messages: list[Any] = []
    emit = Sender(NONE, "train", "w1", lambda topic, events: messages.append(events), lambda: False)
    emit("preparing", {"toolchain": "tf1.15"})
    assert not messages
    emit("started", {})
    assert [[event["kind"] for event in events] for events in messages] == [["preparing", "started"]]
