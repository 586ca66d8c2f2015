"""The worker: one job after the other, one worker a repository, until none is left."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from builder.errors import TinsmithError
from builder.hook import queue
from builder.hook.job import Outcome, perform
from builder.hook.place import Place
from builder.hook.queue import Job
from builder.hook.settings import Settings, read
from builder.settings import cache_folder
from builder.store.places import is_shared

Perform = Callable[[Place, Settings, Job], Outcome]


def work(place: Place, perform: Perform = perform) -> bool:
    """Does the jobs that wait. False, at once, if another worker is at them already.

    A job that a killed worker had begun is begun again: its steps that ended are in the store, its training goes on
    from the last checkpoint. After MOST_ATTEMPTS it counts as failed.
    """
    while True:
        with queue.working(place) as ours:
            if not ours:
                return False
            shutil.rmtree(place.work, ignore_errors=True)  # of a killed worker
            place.work.mkdir()
            while jobs := queue.waiting(place):
                _do(place, jobs[0], perform)
        # Whoever added a job after the last look, and before the lock was given back, found a worker at it.
        if not queue.waiting(place):
            return True


def _do(place: Place, job: Job, perform: Perform) -> None:
    if job.attempts >= queue.MOST_ATTEMPTS:
        queue.finish(place, job, "failed", (f"given up: {job.attempts} workers ended while they were at it",))
        return
    begun = replace(job, attempts=job.attempts + 1)
    queue.keep(place, begun)
    try:
        outcome = _performed(place, begun, perform)
    except Exception as error:
        # A bug: it must not stop the jobs behind it.
        with place.log(job.number).open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        outcome = Outcome(True, (f"a bug in tinsmith, see the log: {error!r}",))
    except BaseException:
        queue.keep(place, job)  # told to stop: that is not the job's fault
        raise
    queue.finish(place, begun, "failed" if outcome.failed else "done", outcome.said)


def _folder(store: str | Path) -> Path:
    """Where the workers of this machine wait for each other."""
    return cache_folder() / "store" if is_shared(store) else Path(store)


def _performed(place: Place, job: Job, perform: Perform) -> Outcome:
    try:
        settings = read(place)
    except TinsmithError as error:
        return Outcome(True, (error.message,))
    if settings is None:
        return Outcome(True, ("the repository has no settings for tinsmith: tinsmith hook install",))
    try:
        with queue.alone(_folder(settings.store)):
            return perform(place, settings, job)
    except OSError as error:
        return Outcome(True, (f"{error.filename or settings.store}: {error.strerror}",))
