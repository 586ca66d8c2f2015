"""Fills a shared store: sends the steps that it lacks to a Dask scheduler, round by round, until they have ended.

A round submits all steps that are left as one graph, whose tasks are named by the steps' keys: two who ask for one step
share its task. What a round loses, with workers, a scheduler or damaged bytes, the next one asks for again; as steps
give the same bytes wherever they run, and results are written once, running one twice harms nothing.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cluster.banned import drop
from builder.cluster.connection import Connection
from builder.cluster.graph import Graph
from builder.cluster.job import Job, Outcome, looked_up, publish_code, this_version
from builder.cluster.resources import Resources
from builder.cluster.round import Round
from builder.cluster.sources import is_published, publish
from builder.cluster.watch import Demands
from builder.digest import Digest
from builder.engine.base import Emit
from builder.errors import IntegrityError
from builder.plan.code import StepCode
from builder.plan.step import Step
from builder.store.documents import MISSING

if TYPE_CHECKING:
    from builder.store.cached import CachedStore

Demand = Callable[[Sequence[Step], Sequence[Resources]], Demands]
"""The resources that each of some steps needs of its worker, by Dask's names, where workers offer these."""

_LOOKUPS = 16
_MOST_LOSSES = 6
"""After which a step is given up. Dask itself tries it on several workers each time."""
_AGAIN = ("StoreUnreachable", "NoEngine", "Interrupted")
"""Errors of a worker rather than of a step: another worker may do better."""
_PAUSE_SECONDS = 1.0


@dataclass
class Filled:
    """What became of a graph: ``ran``: seconds of the steps that ran for it; ``failed``: how those ended that did not
    end well. What needs one of these is in neither."""

    ran: dict[Digest, float] = field(default_factory=dict)
    failed: dict[Digest, Outcome] = field(default_factory=dict)


class Filling:
    """One build's use of a cluster.

    ``sources`` gives the folder of locked files by their content's digest, checked, and has put their listing into
    ``store``; ``ranks`` are seconds from a step's start to the end of the longest path, by key.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        code: StepCode,
        sources: Callable[[str], Path],
        store: CachedStore,
        connection: Connection,
        demand: Demand,
        ranks: Mapping[Digest, float],
        emit: Emit,
    ) -> None:
        self._graph, self._code, self._sources, self._store = graph, code, sources, store
        self._connection, self._demand, self._ranks, self._emit = connection, demand, ranks, emit
        self._losses: Counter[Digest] = Counter()
        self._attempts: Counter[Digest] = Counter()
        self._published: set[str] = set()
        self._suspect: set[str] = set()
        self._codes: dict[tuple[str, ...], Digest] = {}
        self._done: set[Digest] = set()
        # Whoever reads a result hashes it. Of those that no step reads, this is done here, while others run.
        self._last = graph.last()
        self._checks: dict[Digest, Future[bool]] = {}
        self._filled = Filled()

    def run(self) -> Filled:
        """Until every step has a result in the store, or failed, or needs one that failed.

        NoEngine if the scheduler cannot be reached for long; StoreUnreachable; errors of ``sources``.
        """
        with ThreadPoolExecutor(_LOOKUPS) as pool:
            while (left := self._left(pool)).steps:
                self._lap(left, pool)
        return self._filled

    def _lap(self, left: Graph, pool: ThreadPoolExecutor) -> None:
        """One round."""
        self._connection.client()  # what is wrong with it is better known before hours of sending data
        self._publish(left)
        jobs = {key: self._job(step, left.needs[key]) for key, step in left.steps.items()}

        demands = functools.partial(self._demand, list(left.steps.values()))
        with Round(self._connection, jobs, self._attempts, demands, self._ranks, self._emit) as lap:
            for outcomes in lap.outcomes():
                for outcome in outcomes:
                    self._take(outcome)
                    if outcome.status == "done" and outcome.seconds and outcome.key in self._last:
                        self._checks[outcome.key] = pool.submit(self._is_sound, outcome.key)
        for key in lap.killed:
            died = Outcome(key, "failed", kind="StepFailed", code="workers-lost", message="its workers died")
            self._lose(key, died)
        # A task that ended is known to the scheduler while anybody holds it: what runs again has another name.
        again = left.steps.keys() - self._done - self._filled.failed.keys()
        self._attempts.update(again)
        if again:
            time.sleep(_PAUSE_SECONDS)

    def _left(self, pool: ThreadPoolExecutor) -> Graph:
        """The steps that have no result, did not fail and do not need one that failed."""
        unknown = [key for key in self._graph.steps if key not in self._done and key not in self._filled.failed]
        for key, result in zip(unknown, pool.map(functools.partial(looked_up, self._store), unknown), strict=True):
            if result is not None:
                self._done.add(key)
                self._emit("cached", {"step": self._graph.steps[key].name, "key": key})
        for key, check in self._checks.items():
            if not check.result() and key in self._done:
                self._forget(key, "the store has other bytes")
        self._checks.clear()
        hopeless = self._graph.after(self._filled.failed) | self._filled.failed.keys()
        return self._graph.without(self._done | hopeless)

    def _is_sound(self, key: Digest) -> bool:
        """Whether the blobs of a result are what they should be; if not, nobody will read them."""
        result = looked_up(self._store, key)
        if result is None:
            return False
        try:
            for artifact in result.artifacts:
                self._store.read(artifact.digest)
        except IntegrityError as error:
            self._store.disown(key)
            if error.code != MISSING:
                drop(self._connection, [str(result.run.get("worker", ""))], error.message, self._emit)
            return False
        return True

    def _forget(self, key: Digest, why: str) -> None:
        """Has a step run again that was done."""
        self._done.discard(key)
        self._filled.ran.pop(key, None)
        self._lose(key, _damage(key, why))

    def _publish(self, left: Graph) -> None:
        remote = self._store.remote
        for step in left.steps.values():
            for digest in (item.source for item in step.inputs if item.source is not None):
                if digest in self._published:
                    continue
                if digest in self._suspect or not is_published(Digest(digest), remote):
                    folder = self._sources(digest)
                    self._emit("message", {"step": step.name, "text": "sending its data to the store"})
                    publish(folder, self._store.read(Digest(digest)), remote, self._emit)
                self._published.add(digest)

    def _job(self, step: Step, needs: Mapping[str, Digest]) -> Job:
        if step.code not in self._codes:
            self._codes[step.code] = publish_code(step, self._code, self._store)
        return Job(this_version(), self._store.identity(), step, self._codes[step.code], needs)

    def _take(self, outcome: Outcome) -> None:
        key, name = outcome.key, self._graph.steps[outcome.key].name
        if outcome.status == "done":
            self._done.add(key)
            about = {"step": name, "key": key, "worker": outcome.worker}
            if outcome.seconds:
                self._filled.ran[key] = outcome.seconds
                self._emit("finished", {**about, "seconds": round(outcome.seconds, 3)})
            else:
                self._emit("cached", about)
        elif outcome.status == "failed" and outcome.kind in _AGAIN and outcome.code != "no-worker":
            self._emit("message", {"step": name, "key": key, "worker": outcome.worker, "text": outcome.message})
            self._lose(key, outcome)
        elif outcome.status == "failed":
            self._fail(outcome)
        elif outcome.status == "lost" and outcome.keys:
            for lost in outcome.keys:
                if lost in self._done:
                    if looked_up(self._store, lost) is None:  # else another build has mended it by now
                        self._store.disown(lost)
                    self._forget(lost, f"the store no longer has the result of step {self._graph.steps[lost].name}")
            self._lose(key, _damage(key, "the store no longer has what it reads", outcome.worker))
            if outcome.blamed:
                drop(self._connection, outcome.blamed, "what it left in the store has other bytes", self._emit)
        elif outcome.status == "lost":  # files of its sources
            digests = {item.source for item in self._graph.steps[key].inputs if item.source is not None}
            self._suspect |= digests
            self._published -= digests
            self._lose(key, _damage(key, "the store has no longer all of its data, or other bytes", outcome.worker))

    def _lose(self, key: Digest, last: Outcome) -> None:
        self._losses[key] += 1
        if self._losses[key] >= _MOST_LOSSES:
            text = f"given up after {_MOST_LOSSES} attempts: {last.message}"
            self._fail(replace(last, message=text))

    def _fail(self, outcome: Outcome) -> None:
        self._filled.failed[outcome.key] = outcome
        name = self._graph.steps[outcome.key].name
        about = {"step": name, "key": outcome.key, "worker": outcome.worker, "code": outcome.code}
        self._emit("error", {**about, "message": outcome.message, "help": outcome.help})
        self._emit("failed", about)


def _damage(key: Digest, text: str, worker: str = "") -> Outcome:
    """How the step ``key`` ends, if this happens to it once too often."""
    return Outcome(key, "failed", worker, kind="IntegrityError", code="integrity", message=text)
