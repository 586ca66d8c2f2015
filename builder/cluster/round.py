"""One graph of jobs on a Dask scheduler: submitted at once, followed until each has ended or was lost."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from builder.cluster.connection import Connection
from builder.cluster.events import BUILDS_OWN
from builder.cluster.job import Job, Outcome
from builder.cluster.resources import Resources
from builder.cluster.watch import Demands, Watch
from builder.cluster.work import work
from builder.digest import Digest, hex_of
from builder.engine.base import Emit

if TYPE_CHECKING:
    from distributed import Client, Future

_POLL_SECONDS = 0.05
_LOOK_SECONDS = 2.0
_GATHER_SECONDS = 30.0
_LONGEST = 2000
TaskKey = tuple[str, str, int]


def task_key(job: Job, attempt: int) -> TaskKey:
    """The name of a task: the step's name, which Dask groups by, and key; ``attempt``, as a task that ended is known to
    the scheduler for as long as anybody holds it."""
    return (job.step.name, hex_of(job.step.key), attempt)


class Round:
    """A context manager; what has not ended when it is left is given up.

    ``killed``: the steps whose workers died more often than the scheduler tries. What was lost with these, or with the
    scheduler, is in no outcome.
    """

    def __init__(
        self,
        connection: Connection,
        jobs: Mapping[Digest, Job],
        attempts: Mapping[Digest, int],
        demands: Callable[[Sequence[Resources]], Demands],
        ranks: Mapping[Digest, float],
        emit: Emit,
    ) -> None:
        self._connection, self._jobs = connection, jobs
        self._demands, self._ranks, self._emit = demands, ranks, emit
        self._keys = {key: task_key(job, attempts.get(key, 0)) for key, job in jobs.items()}
        self._pending: dict[Digest, Future[Outcome]] = {}
        self.killed: set[Digest] = set()

    def __enter__(self) -> Round:
        self._client = self._connection.client()
        watch = Watch(self._client, self._emit)
        demands = self._demands(watch.offers())
        watch.expect({key: demands[key] for key in self._jobs}, {key: job.step for key, job in self._jobs.items()})
        self._watch = watch
        futures = _submit(self._client, self._jobs, self._keys, demands, self._ranks)
        self._pending = dict(zip(self._jobs, futures, strict=True))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._cancel(list(self._pending.values()))
        self._relay()
        if kind is not None:
            self._watch.stop(self._pending.keys())
        self._pending.clear()

    def _cancel(self, futures: list[Future[Outcome]]) -> None:
        with contextlib.suppress(Exception):  # of a scheduler that is gone
            if self._client.status == "running" and futures:
                self._client.cancel(futures, force=False)

    def outcomes(self) -> Iterator[list[Outcome]]:
        """Outcomes as they come, some at a time."""
        looked = time.monotonic()
        while self._pending:
            self._relay()
            if self._client.status != "running":
                self._emit("message", {"text": "the connection to the scheduler was lost"})
                self._pending.clear()
                return
            if ended := self._ended():
                yield ended
                continue
            if time.monotonic() - looked > _LOOK_SECONDS:
                if unplaced := self._watch.look(self._pending.keys()):
                    yield self._given_up(unplaced)
                elif self._watch.demands_less(self._pending.keys(), self._demands):
                    return  # what is left is submitted anew
                looked = time.monotonic()
            time.sleep(_POLL_SECONDS)
        self._relay()

    def _relay(self) -> None:
        """Passes on what workers said of this round's steps; what ends a step is not theirs to say."""
        for _ in range(self._connection.events.qsize()):
            with contextlib.suppress(queue.Empty):
                kind, detail = self._connection.events.get_nowait()
                key = detail.get("key")
                if isinstance(key, str) and key in self._jobs and kind not in BUILDS_OWN:
                    self._watch.note(kind, detail)
                    self._emit(kind, detail)

    def _ended(self) -> list[Outcome]:
        states = {key: future.status for key, future in self._pending.items() if future.status != "pending"}
        outcomes = self._gathered([key for key, state in states.items() if state == "finished"])
        for key, state in states.items():
            if state == "error":
                outcomes += self._erred(key)
            elif state in ("cancelled", "lost"):
                del self._pending[key]
        return outcomes

    def _gathered(self, keys: list[Digest]) -> list[Outcome]:
        """The outcomes of finished tasks; those that were lost with their worker meanwhile stay pending."""
        if not keys:
            return []
        futures = [self._pending[key] for key in keys]
        loop: Any = self._client.loop
        call = asyncio.run_coroutine_threadsafe(_gather(self._client, futures), loop.asyncio_loop)
        try:
            found: list[Outcome] = call.result(_GATHER_SECONDS)
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError, OSError):
            call.cancel()
            return []
        for outcome in found:
            self._pending.pop(outcome.key, None)
        return found

    def _erred(self, key: Digest) -> list[Outcome]:
        from distributed.scheduler import KilledWorker

        future = self._pending.pop(key)
        error = future.exception()
        if isinstance(error, KilledWorker):
            if error.task == self._keys[key]:
                self.killed.add(key)
            return []
        said = " ".join(str(error).split())[:_LONGEST]
        message = f"the cluster cannot run step {self._jobs[key].step.name}: {type(error).__name__}: {said}"
        help = "the scheduler and all workers need the tinsmith of this build; start workers with 'tinsmith worker'"
        return [Outcome(key, "failed", kind="NoEngine", code="no-engine", message=message, help=help)]

    def _given_up(self, why: Mapping[Digest, str]) -> list[Outcome]:
        # With what needs them: while another build waits for one of these, Dask keeps that, too.
        never, behind = set(why), set[Digest]()
        for key, job in self._jobs.items():  # each after those that it needs
            if key in self._pending and never.intersection(job.needs.values()):
                never.add(key)
                behind.add(key)
        self._cancel([self._pending.pop(key) for key in never])
        return [
            Outcome(key, "failed", kind="NoEngine", code="no-worker", message=text,
                    help="start a worker that can, or change what it offers: 'tinsmith worker --help'")
            for key, text in why.items()
            if key not in behind  # of a chain the first one is enough to tell
        ]  # fmt: skip


async def _gather(client: Client, futures: list[Future[Outcome]]) -> list[Outcome]:
    found: list[Outcome] = await client.gather(futures, errors="skip", asynchronous=True)
    return found


def _submit(
    client: Client,
    jobs: Mapping[Digest, Job],
    keys: Mapping[Digest, TaskKey],
    demands: Demands,
    ranks: Mapping[Digest, float],
) -> list[Future[Outcome]]:
    """All tasks as one graph, those first that have the longest way ahead of them."""
    from dask._task_spec import Task, TaskRef
    from dask.base import annotate

    graph: dict[TaskKey, Any] = {}
    for key, job in jobs.items():
        before = [TaskRef(keys[need]) for need in job.needs.values() if need in keys]
        graph[keys[key]] = Task(keys[key], work, job, *before)
    priorities = {keys[key]: ranks[key] for key in jobs}
    resources = {keys[key]: dict(demands[key]) for key in jobs}
    # Called on the scheduler for each key.
    with annotate(priority=priorities.__getitem__, resources=resources.__getitem__):
        futures: list[Future[Outcome]] = client.get(graph, list(keys.values()), sync=False)
    return futures
