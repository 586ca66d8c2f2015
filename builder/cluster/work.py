"""What a worker does with a job: look the step up, run it in the worker's own engine, publish the result."""

from __future__ import annotations

import functools
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder.build import record, run_step
from builder.checkpoints import drop, kept
from builder.cluster import context
from builder.cluster.events import Sender
from builder.cluster.job import Job, Outcome, looked_up, read_code, this_version
from builder.cluster.sources import materialise
from builder.digest import Digest
from builder.engine.base import Emit
from builder.errors import IntegrityError, NoEngine, StoreUnreachable, TinsmithError
from builder.settings import cache_folder
from builder.store.base import StepResult, Store
from builder.store.documents import MISSING

_LONGEST = 20_000
"""Characters of an error."""


def work(job: Job, *before: Outcome) -> Outcome:
    """Runs ``job`` on this worker, ``before`` being how the steps ended that it needs.

    However it ends, that is the outcome; only where this worker is told to stop, Dask's Reschedule is raised.
    """
    if unfit := [outcome for outcome in before if outcome.status != "done"]:
        return Outcome(job.step.key, "skipped", keys=tuple(outcome.key for outcome in unfit))
    name = ""
    with context.interruptible():
        try:
            here = context.current()
            name = here.name
            emit = Sender(job.step.key, job.step.name, name, *_connection())
            return _Work(job, here, emit).outcome()
        except TinsmithError as error:
            return _failed(job.step.key, name, error)
        except OSError as error:  # this machine's, as a full disk is: another may do better
            text = f"step {job.step.name}: {error.filename or 'worker ' + name}: {error.strerror or error}"
            return _failed(job.step.key, name, StoreUnreachable(text))
        except Exception as error:  # a bug, which whoever waits for the step should hear of
            text = f"step {job.step.name}: {type(error).__name__}: {error}"
            return _failed(job.step.key, name, TinsmithError(text))


def _failed(key: Digest, worker: str, error: TinsmithError) -> Outcome:
    kind = type(error).__name__
    message, help = error.message, error.help
    if len(message) > _LONGEST:  # lines of a log have no bound
        message = f"{message[: _LONGEST // 2]}\n…\n{message[-_LONGEST // 2 :]}"
    return Outcome(key, "failed", worker, kind=kind, code=error.code, message=message, help=help and help[:_LONGEST])


class _Work:
    def __init__(self, job: Job, here: context.Context, emit: Emit) -> None:
        self._job, self._here, self._emit, self._key = job, here, emit, job.step.key

    def outcome(self) -> Outcome:
        self._check()
        store = self._here.store
        # Another worker of this machine may be at it: then its result is there once the claim is free.
        with store.claimed(self._key) as folder:
            if looked_up(store, self._key) is None:
                return self._run(folder)
            shutil.rmtree(folder)
        return Outcome(self._key, "done", self._here.name)

    def _check(self) -> None:
        if self._job.tinsmith != this_version():
            raise NoEngine(
                f"worker {self._here.name} has tinsmith {this_version()}, the build {self._job.tinsmith}",
                help="use one version on all machines",
            )
        if self._job.store != self._here.store.identity():
            raise StoreUnreachable(
                f"worker {self._here.name} uses another store than the build",
                help="start workers with the --store of the build",
            )

    def _run(self, folder: Path) -> Outcome:
        begun, store = time.monotonic(), self._here.store
        results = {name: looked_up(store, key) for name, key in self._job.needs.items()}
        if gone := [self._job.needs[name] for name, result in results.items() if result is None]:
            return Outcome(self._key, "lost", self._here.name, keys=tuple(gone))
        found = {name: result for name, result in results.items() if result is not None}
        try:
            result = self._result(folder, found)
        except IntegrityError as error:
            damaged = [result for result in found.values() if looked_up(store, result.key) is None]
            if not damaged and not any(item.source for item in self._job.step.inputs):
                raise
            keys = tuple(result.key for result in damaged)
            wrong = damaged if error.code != MISSING else []
            blamed = tuple(str(result.run.get("worker", "")) for result in wrong)
            return Outcome(self._key, "lost", self._here.name, keys=keys, blamed=blamed)
        run = {**result.run, "worker": self._here.name, "host": socket.gethostname()}
        record(replace(result, run=run), store)
        drop(self._job.step, store)
        shutil.rmtree(folder)
        return Outcome(self._key, "done", self._here.name, seconds=time.monotonic() - begun)

    def _result(self, folder: Path, found: Mapping[str, StepResult]) -> StepResult:
        step, store = self._job.step, self._here.store
        code = _code(self._job.code, store)

        def sources(digest: str) -> Path:
            return materialise(Digest(digest), store, cache_folder())

        with kept(step, folder, store, self._emit):
            return run_step(step, folder, code, sources, found, store, self._here.engine(), self._emit)


@functools.lru_cache(maxsize=32)
def _code(digest: Digest, store: Store) -> dict[str, bytes]:
    """As ``read_code``: steps of one kind have the same, and a worker runs many."""
    return read_code(digest, store)


def _connection() -> tuple[Callable[[str, Any], None], Callable[[], bool]]:
    """How to send events from this task, and whether the scheduler still wants it."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def unwanted() -> bool:
        state = worker.state.tasks.get(key)
        return state is None or state.state in ("cancelled", "resumed", "released", "forgotten")

    return worker.log_event, unwanted
