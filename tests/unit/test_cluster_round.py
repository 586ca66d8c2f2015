"""A round of tasks on a scheduler that is none: what is believed of workers, what is given up."""

from __future__ import annotations

import queue
from types import SimpleNamespace
from typing import Any

import pytest

from builder.cluster.job import Job
from builder.cluster.round import Round
from builder.cluster.watch import Watch
from builder.digest import Digest
from builder.errors import NoEngine
from tests.fakes import Events
from tests.unit.test_build import NONE
from tests.unit.test_cluster_parts import step

FIRST, SECOND, OTHER = step("ingest"), step("train", "ingest"), step("export")


class _Client:
    """With one worker that offers nothing anybody needs."""

    status = "running"
    silent = False

    def __init__(self) -> None:
        self.cancelled: list[Any] = []
        self.scheduler = SimpleNamespace(address="tcp://there:1", identity=self.identity)

    def sync(self, asked: Any, callback_timeout: float, **words: Any) -> Any:
        if self.silent:
            raise TimeoutError
        return asked(**words)

    def identity(self, n_workers: int) -> Any:
        return {"workers": {"a": {"name": 7, "resources": {"slots": "many", "memory": None}}, "b": {}}}

    def cancel(self, futures: list[Any], *, force: bool) -> None:
        assert not force
        self.cancelled += futures


@pytest.fixture
def lap() -> Round:
    jobs = {
        item.key: Job("1", "", item, NONE, {need.step: FIRST.key for need in item.inputs if need.step})
        for item in (FIRST, SECOND, OTHER)
    }
    connection: Any = SimpleNamespace(events=queue.SimpleQueue())
    events = Events()
    made = Round(connection, jobs, {}, lambda offers: {}, {}, events)
    made._client, made._watch = _Client(), Watch(_Client(), events)  # type: ignore[assignment, arg-type]
    made._pending = {key: str(key) for key in jobs}  # type: ignore[misc]
    events.clear()
    return made


def told(lap: Round, *events: tuple[str, Any]) -> list[tuple[str, Any]]:
    for event in events:
        lap._connection.events.put(event)
    lap._relay()
    emitted: Any = lap._emit
    return list(emitted)


def test_what_needs_a_step_that_is_given_up_is_not_waited_for(lap: Round) -> None:
    (outcome,) = lap._given_up({FIRST.key: "nobody can"})
    assert (outcome.key, outcome.code) == (FIRST.key, "no-worker")
    assert set(lap._pending) == {OTHER.key}
    assert set(lap._client.cancelled) == {FIRST.key, SECOND.key}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["plan", "workers", "cached", "finished", "failed", "lost"])
def test_what_only_a_build_can_know_no_worker_says(lap: Round, kind: str) -> None:
    assert told(lap, (kind, {"key": FIRST.key})) == []


def test_events_of_another_form_are_passed_over(lap: Round) -> None:
    good = ("started", {"key": FIRST.key, "worker": ["w"]})
    keys: list[Any] = [[], {}, None, 1, Digest("sha256:other")]
    assert told(lap, *(("started", {"key": key}) for key in keys), good) == [good]


def test_a_scheduler_that_falls_silent_is_told_once_and_given_up_in_time(
    lap: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, client = lap._watch, _Client()
    events: Any = lap._emit
    watch._client = client  # type: ignore[assignment]
    client.silent = True
    for _ in range(3):
        assert watch.look([]) == {}
    assert events == [("message", {"text": "the scheduler at tcp://there:1 does not answer"})]
    client.silent = False
    watch.look([])
    client.silent = True
    monkeypatch.setenv("TINSMITH_CLUSTER_PATIENCE", "9")  # less than it waits for one answer
    with pytest.raises(NoEngine, match=r"tcp://there:1 does not answer for 9 s"):
        watch.look([])
