"""The queue: a file a job, ``jobs/<number>.json``, each replaced at once, so that whoever reads has a whole one.

Only the one worker, who holds ``worker.lock``, changes a job that is there; anybody may add one.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from builder.hook.place import Place, write_json
from builder.hook.pushed import Update

State = Literal["waiting", "done", "failed"]

_TRIES = 20

KEPT = 200
"""So many done jobs stay to be looked at. Failed ones stay until somebody removes or repeats them."""
MOST_ATTEMPTS = 3
"""A job that takes its worker down every time must not do so for ever."""


@dataclass(frozen=True)
class Job:
    """Building what a push changed from the commit ``old`` (None: from nothing) to ``new``.

    ``attempts``: how often a worker began it; ``said``: a line a thing that came of it; times are ISO 8601, UTC.
    """

    number: int
    ref: str
    old: str | None
    new: str
    pushed: str
    state: State = "waiting"
    attempts: int = 0
    ended: str | None = None
    said: tuple[str, ...] = field(default=())


def add(place: Place, update: Update) -> Job:
    """A new job, on the disk for good when this returns."""
    assert update.new is not None, "a deletion is nothing to build"
    _make_folders(place)
    with _locked(place.folder / "numbers.lock", wait=True):
        number = max((job.number for job in jobs(place)), default=0) + 1
        job = Job(number, update.ref, update.old, update.new, now())
        keep(place, job)
    return job


def keep(place: Place, job: Job) -> None:
    write_json(_file(place, job.number), {"format": 1, **asdict(job)})


def jobs(place: Place) -> list[Job]:
    """All jobs, oldest first. A file that is no job is passed over: an administrator has put it there."""
    found = []
    for path in sorted(place.jobs.glob("*.json")) if place.jobs.is_dir() else []:
        job = _read(path)
        if job is not None:
            found.append(job)
    return found


def waiting(place: Place) -> list[Job]:
    return [job for job in jobs(place) if job.state == "waiting"]


def finish(place: Place, job: Job, state: State, said: tuple[str, ...]) -> Job:
    """Records what became of ``job``, and removes the oldest done ones beyond KEPT."""
    ended = replace(job, state=state, said=said, ended=now())
    keep(place, ended)
    done = [item for item in jobs(place) if item.state == "done"]
    for old in done[:-KEPT]:
        _file(place, old.number).unlink(missing_ok=True)
        place.log(old.number).unlink(missing_ok=True)
    return ended


@contextmanager
def working(place: Place) -> Iterator[bool]:
    """Whether this process is now the one worker."""
    _make_folders(place)
    for _ in range(_TRIES - 1):
        with _locked(place.folder / "worker.lock", wait=False) as held:
            if held:
                yield True
                return
        time.sleep(0.05)  # it may be somebody who only looks, see ``running``
    with _locked(place.folder / "worker.lock", wait=False) as held:
        yield held


def running(place: Place) -> Job | None:
    """The job that a living worker is at."""
    lock = place.folder / "worker.lock"
    if not lock.exists():
        return None
    with _locked(lock, wait=False, mode="r") as free:
        return None if free else next((job for job in waiting(place) if job.attempts), None)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Waits for the workers of other repositories that build into the same store."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "hook.lock", wait=True):
        yield


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _file(place: Place, number: int) -> Path:
    return place.jobs / f"{number:08d}.json"


def _make_folders(place: Place) -> None:
    for folder in (place.jobs, place.logs, place.work):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _locked(path: Path, *, wait: bool, mode: str = "a") -> Iterator[bool]:
    with path.open(mode) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _read(path: Path) -> Job | None:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if document.pop("format") != 1 or document["number"] != int(path.stem):
            return None
        return Job(**{**document, "said": tuple(document["said"])})
    except FileNotFoundError:
        return None  # removed meanwhile
    except (ValueError, TypeError, KeyError):
        return None
