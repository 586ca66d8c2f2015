"""What a step that Dask has given to this process works with: made once by the preload, asked for by each job."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from builder.engine.base import Engine
from builder.errors import NoEngine, TinsmithError
from builder.printed import printable

if TYPE_CHECKING:
    from builder.store.cached import CachedStore

_lock = threading.Lock()
_current: Context | None = None
_running: set[int] = set()
_stopping = False


@dataclass(frozen=True)
class Context:
    """``engine`` makes the engine when it is first called, and gives the same one from then on."""

    name: str
    store: CachedStore
    engine: Callable[[], Engine]


def current() -> Context:
    """The context of this worker. NoEngine if this process is none of tinsmith's."""
    if _current is None:
        raise NoEngine(
            "this Dask worker is not one of tinsmith's: it has no store and no engine",
            help="start it with 'tinsmith worker', or with --preload builder.cluster.preload",
        )
    return _current


def install(context: Context | None) -> None:
    """Makes ``context`` that of this process."""
    global _current
    _current = context


@contextmanager
def interruptible() -> Iterator[None]:
    """Where a job runs: when this worker is told to stop, a KeyboardInterrupt comes up in here, as by Ctrl-C.

    So the step is ended and its checkpoints can be kept; then the job goes back to the scheduler, which gives it to
    another worker.
    """
    from distributed import Reschedule

    thread = threading.get_ident()
    try:
        with _lock:
            if _stopping:
                raise KeyboardInterrupt
            _running.add(thread)
        try:
            yield
        finally:
            with _lock:
                _running.discard(thread)
    except KeyboardInterrupt as stop:
        raise Reschedule from stop


def interrupt() -> None:
    """Has every job of this process stop, and each that comes later. Once: a job that cleans up is let be."""
    global _stopping
    with _lock:
        if _stopping:
            return
        _stopping = True
        for thread in _running:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))


def busy() -> bool:
    """Whether a job runs in this process."""
    return bool(_running)


def lazily(make: Callable[[], Engine]) -> Callable[[], Engine]:
    """``make``, called once, by whichever thread comes first. Where it fails, the next call tries again."""
    lock = threading.Lock()
    made: list[Engine] = []

    def engine() -> Engine:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return engine


def say(text: str) -> None:
    """Tells whoever started this process."""
    with suppress(OSError):  # a terminal that is gone
        print(printable(text), file=sys.stderr, flush=True)


def end(error: TinsmithError) -> NoReturn:
    """Ends this process at once: with what ``error`` says, and its status."""
    say(f"error[{error.code}]: {error.message}" + (f"\n  {error.help}" if error.help else ""))
    os._exit(error.exit_status)
