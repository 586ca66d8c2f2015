"""Steps on real workers of a real scheduler: shared by users, failed, lost, given wrong bytes, stopped."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.cluster import connection
from builder.cluster.client import Filled
from builder.cluster.fill import fill
from builder.cost.model import CostModel
from builder.digest import Digest, digest_bytes
from builder.errors import NoEngine
from builder.plan.step import Plan
from builder.store.cached import CachedStore
from builder.store.disk import DiskStore
from builder.store.places import remote_store
from tests.cluster.local import Local, local_cluster
from tests.cluster.noop import CODE, POISONED, TOOLCHAIN, noop_step, nothing, plan_of
from tests.fakes import Events

Emit = Callable[[str, Mapping[str, Any]], None]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with local_cluster(tmp_path_factory.mktemp("cluster"), 2) as made:
        yield made


def user(cluster: Local, folder: Path) -> CachedStore:
    """The store as a machine sees it that shares nothing else with the workers."""
    return CachedStore(remote_store(cluster.store, 10.0), DiskStore(folder, lasting=False), 1 << 30)


def filled(cluster: Local, folder: Path, *plans: Plan, emit: Emit | None = None, store: Any = None) -> Filled:
    return fill(
        plans, code=CODE, sources=lambda digest: Path(), store=store or user(cluster, folder),
        scheduler=cluster.address, demand={}, costs=CostModel.learnt([]), emit=Events() if emit is None else emit,
    )  # fmt: skip


def check(cluster: Local, folder: Path, *keys: Digest) -> None:
    """Each step of ``keys`` has its result in the store, with the bytes that it should have."""
    store = user(cluster, folder / "afterwards")
    for key in keys:
        result = store.lookup(key)
        assert result is not None
        assert store.read(result.artifact("out.txt").digest).decode() == nothing(key)


def started(log: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in log.read_text().splitlines() if line.endswith("started"))


def chain(name: str, *, length: int = 3, key: object = None, **params: Any) -> Plan:
    """``length`` steps, each of which needs the one before."""
    steps = [noop_step("step-0", key=[name, key], **params)]
    for number in range(1, length):
        steps.append(noop_step(f"step-{number}", f"step-{number - 1}", key=[name, key], **params))
    return plan_of(name, *steps)


def test_two_users_who_ask_for_one_step_get_one_execution(cluster: Local, tmp_path: Path) -> None:
    log = tmp_path / "log"
    plans = [chain("shared", length=4, log=str(log), seconds=0.3)] * 2
    found: list[Filled] = []

    def ask(number: int) -> None:
        found.append(filled(cluster, tmp_path / str(number), plans[number]))

    users = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for one in users:
        one.start()
    for one in users:
        one.join()
    assert len(found) == 2 and not any(one.failed for one in found)
    assert set(started(log).values()) == {1} and len(started(log)) == 4
    check(cluster, tmp_path, *(step.key for step in plans[0].steps))


def test_what_is_in_the_store_does_not_run(cluster: Local, tmp_path: Path) -> None:
    log, events = tmp_path / "log", Events()
    plan = chain("again", log=str(log))
    assert len(filled(cluster, tmp_path / "a", plan).ran) == 3
    assert not filled(cluster, tmp_path / "b", plan, emit=events).ran
    assert [kind for kind, _ in events] == ["cached"] * 3
    assert set(started(log).values()) == {1}


def test_a_failed_step_is_told_with_its_worker_and_the_rest_goes_on(cluster: Local, tmp_path: Path) -> None:
    shared = noop_step("ingest", key="failing")
    bad = noop_step("train", "ingest", key="bad", fail="step train failed; the end of its log:\n    nan")
    good = noop_step("train", "ingest", key="good")
    plans = [
        plan_of("bad", shared, bad, noop_step("export", "train", key="bad")),
        plan_of("good", shared, good, noop_step("export", "train", key="good")),
    ]
    events = Events()
    found = filled(cluster, tmp_path, *plans, emit=events)
    assert list(found.failed) == [bad.key]
    outcome = found.failed[bad.key]
    assert outcome.worker in ("w0", "w1") and outcome.kind == "StepFailed" and "nan" in outcome.message
    assert [item["key"] for item in events.of("failed")] == [bad.key]
    assert events.of("error")[0]["worker"] == outcome.worker
    assert plans[0].steps[2].key not in found.ran
    check(cluster, tmp_path, *(step.key for step in plans[1].steps))


def test_a_step_that_no_worker_can_take_is_told_and_the_rest_goes_on(
    cluster: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINSMITH_CLUSTER_PATIENCE", "3")
    newer = dataclasses.replace(TOOLCHAIN, requirements_digest=digest_bytes(b"newer"))
    plans = [chain("newer", toolchain=newer), chain("usual")]
    found = filled(cluster, tmp_path, *plans)
    (outcome,) = found.failed.values()
    assert outcome.key == plans[0].steps[0].key
    assert outcome.kind == "NoEngine"
    assert "toolchain noop is wanted in version" in outcome.message
    check(cluster, tmp_path, *(step.key for step in plans[1].steps))


def test_a_worker_of_another_store_gets_no_step(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with local_cluster(tmp_path, 1) as own:
        own.add_worker(TINSMITH_STORE=f"file://{other}")
        plan = plan_of("both", *(noop_step(f"step-{number}", key="both", seconds=0.5) for number in range(12)))
        found = filled(own, tmp_path / "user", plan)
        assert not found.failed and len(found.ran) == 12
        check(own, tmp_path, *(step.key for step in plan.steps))


def test_a_scheduler_that_is_not_there_is_told(cluster: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_CLUSTER_PATIENCE", "1")
    nobody = dataclasses.replace(cluster, address="tcp://127.0.0.1:1")
    with pytest.raises(NoEngine, match=r"answers at tcp://127\.0\.0\.1:1 for 1 s: \S"):
        filled(nobody, tmp_path, chain("nobody"))


def test_a_scheduler_that_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_CLUSTER_PATIENCE", "5")
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 1.0)
    with local_cluster(tmp_path, 1) as own:

        def emit(kind: str, detail: Mapping[str, Any]) -> None:
            if kind == "progress":
                own.scheduler.send_signal(signal.SIGSTOP)

        with pytest.raises(NoEngine, match=r"does not answer for 5 s"):
            filled(own, tmp_path, chain("hangs", seconds=60.0), emit=emit)


def test_a_build_that_is_stopped_stops_its_steps(cluster: Local, tmp_path: Path) -> None:
    log, events = tmp_path / "log", Events()
    plan = chain("stopped", log=str(log), seconds=60.0)

    def emit(kind: str, detail: Mapping[str, Any]) -> None:
        events(kind, detail)
        if kind == "progress":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled(cluster, tmp_path, plan, emit=emit)
    deadline = time.monotonic() + 20
    while "ended" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "ended" in log.read_text()
    assert [item["code"] for item in events.of("failed")] == ["interrupted"]


def test_a_worker_that_is_killed_is_told_and_its_step_goes_to_another(tmp_path: Path) -> None:
    log, events = tmp_path / "log", Events()
    with local_cluster(tmp_path, 2) as own:
        plan = chain("killed", length=2, log=str(log), seconds=3.0)

        def emit(kind: str, detail: Mapping[str, Any]) -> None:
            if kind == "progress" and not events.of("progress"):
                own.workers[int(detail["worker"][1:])].send_signal(signal.SIGKILL)
            events(kind, detail)

        found = filled(own, tmp_path / "user", plan, emit=emit)
        assert not found.failed and len(found.ran) == 2
        assert started(log)[plan.steps[0].key] == 2
        lost = events.of("lost")
        assert [item["key"] for item in lost] == [plan.steps[0].key] and lost[0]["worker"] in ("w0", "w1")
        check(own, tmp_path, *(step.key for step in plan.steps))


def test_a_scheduler_that_dies_and_comes_back_ends_no_build(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 2) as own:
        plan, struck = chain("scheduler", length=3, seconds=1.0), threading.Event()

        def emit(kind: str, detail: Mapping[str, Any]) -> None:
            if kind == "finished" and not struck.is_set():
                struck.set()
                own.restart_scheduler()

        found = filled(own, tmp_path / "user", plan, emit=emit)
        assert struck.is_set() and not found.failed
        check(own, tmp_path, *(step.key for step in plan.steps))


def test_a_worker_that_gives_wrong_bytes_is_dropped_and_what_it_did_is_done_again(tmp_path: Path) -> None:
    events = Events()
    with local_cluster(tmp_path, 0) as own:
        bad = own.add_worker(**{POISONED: "1"})
        plans = [chain(f"poisoned {number}") for number in range(3)]
        # An honest worker comes once the other has done its harm.
        timer = threading.Timer(3.0, own.add_worker)
        timer.start()
        found = filled(own, tmp_path / "user", *plans, emit=events)
        timer.join()
        assert not found.failed, found.failed
        check(own, tmp_path, *(step.key for plan in plans for step in plan.steps))
        assert any(f"worker {bad} is dropped" in item["text"] for item in events.of("message"))
        assert own.workers[0].wait(20) is not None
        store = user(own, tmp_path / "who")
        makers = {store.lookup(step.key).run["worker"] for plan in plans for step in plan.steps}  # type: ignore[union-attr]
        assert makers == {"w1"}
