"""What a worker makes of a job when another one was faster."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from builder.cli.cluster import Cluster
from builder.cluster import context
from builder.cluster import work as module
from builder.cluster.job import Job, Outcome, publish_code, this_version
from builder.cluster.work import work
from builder.engine.base import Workspace
from builder.errors import StepFailed, TinsmithError
from builder.plan.step import Step
from builder.store.base import Artifact, StepResult
from builder.store.cached import CachedStore
from builder.store.disk import DiskStore
from builder.store.objects import ObjectStore
from tests.fakes import FakeEngine
from tests.unit.test_build import CODE, step


@pytest.fixture
def store(tmp_path: Path) -> CachedStore:
    return CachedStore(ObjectStore(MemoryStore(), "memory", 1.0), DiskStore(tmp_path), 1 << 20)


def second(store: CachedStore, name: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The outcome of a step that another worker has recorded with figures of its own while it ran here."""
    job = Job(
        this_version(), store.identity(), step(name), publish_code(step(name), {**CODE, "measure.py": b""}, store), {}
    )

    def measure(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        if store.lookup(step.key) is None:
            theirs = Artifact("latency.json", store.write_bytes(b"theirs"), 6)
            store.record(StepResult(step.key, step.name, (theirs,), {"worker": "other"}))
        return {"latency.json": random.randbytes(8)}

    monkeypatch.setattr(module, "_connection", lambda: (lambda topic, message: None, lambda: False))
    context.install(context.Context("here", store, lambda: FakeEngine(measure)))
    try:
        return work(job)
    finally:
        context.install(None)


def test_the_first_of_two_measurements_stays(store: CachedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = second(store, "measure", monkeypatch)
    assert outcome.status == "done", outcome
    result = store.lookup(step("measure").key)
    assert result is not None and store.read(result.artifact("latency.json").digest) == b"theirs"


def test_other_bytes_of_any_other_step_are_an_error(store: CachedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = second(store, "train", monkeypatch)
    assert (outcome.status, outcome.kind) == ("failed", "IntegrityError")
    assert "gave other bytes" in outcome.message


def test_what_is_wrong_with_a_machine_is_tried_on_another(store: CachedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/scratch/x")

    monkeypatch.setattr(module, "run_step", full)
    outcome = second(store, "train", monkeypatch)
    assert (outcome.status, outcome.kind) == ("failed", "StoreUnreachable")
    assert outcome.message == "step train: /scratch/x: No space left on device"


def test_an_error_travels_whatever_its_length(store: CachedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StepFailed("begin" + "x" * 10**6 + "end")

    monkeypatch.setattr(module, "run_step", fail)
    outcome = second(store, "train", monkeypatch)
    assert len(outcome.message) < 25_000
    assert outcome.message.startswith("begin") and outcome.message.endswith("end")


@pytest.mark.parametrize(
    ("kind", "raised"),
    [("StepFailed", StepFailed), ("InvalidManifest", TinsmithError), ("Span", TinsmithError), ("os", TinsmithError)],
)
def test_a_build_ends_in_the_error_of_the_first_step_that_failed(
    store: CachedStore, kind: str, raised: type[TinsmithError]
) -> None:
    cluster = Cluster("tcp://a:1", store)
    cluster._failed = {step("train").key: Outcome(step("train").key, "failed", "w", kind=kind, message="no")}
    with pytest.raises(TinsmithError, match="on worker w") as caught:
        cluster.judge()
    assert type(caught.value) is raised
