"""Keeps one Dask worker running: what is behind ``tinsmith worker``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from builder.cluster import context, preload
from builder.errors import IntegrityError, UsageError

DROPPED = IntegrityError.exit_status
"""The status of a worker that must not be started again: it has returned wrong bytes."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_SETTLED_SECONDS = 60.0
"""A worker that ran so long has had no trouble starting."""
_STOP_SECONDS = 28.0
"""Longer than a worker takes to stop, shorter than the 30 s after which Slurm and Kubernetes kill."""


@dataclass(frozen=True)
class Settings:
    """Of one worker; ``memory_mb`` and ``gpus`` are what the machine has if they are None, ``toolchains`` all if empty.

    ``resources`` are further ones, NAME=N each.
    """

    scheduler: str
    store: str
    name: str
    engine: str = "auto"
    slots: int = 1
    memory_mb: int | None = None
    gpus: int | None = None
    toolchains: Sequence[str] = ()
    resources: Sequence[str] = ()


def supervise(settings: Settings, say: Callable[[str], None] = context.say) -> NoReturn:
    """Runs the worker, and starts it again whenever it ends, until this process is told to stop.

    KeyboardInterrupt is passed on when the worker has ended: Ctrl-C, or a connection that is gone. IntegrityError when
    it was dropped. SystemExit with its status when its settings are wrong, of which it has told.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not under nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    pause = _FIRST_PAUSE
    while True:
        begun = time.monotonic()
        status = _run(settings)
        if status == DROPPED:
            raise IntegrityError(
                f"worker {settings.name} was dropped, for the reason above; it is not started again",
                help="look after this machine's memory and disk before it works again",
            )
        if status == UsageError.exit_status:
            raise SystemExit(status)
        if time.monotonic() - begun > _SETTLED_SECONDS:
            pause = _FIRST_PAUSE
        say(f"worker {settings.name}: {_ended(status)}; again in {pause:g} s")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def drop(reason: str) -> NoReturn:
    """Ends this worker's process for good, from within."""
    context.end(IntegrityError(reason))


def environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """That of the worker: this one's, with the settings as the preload reads them."""
    return {
        # What is to be told, the worker tells; Dask would add pages to every lost connection.
        "DASK_LOGGING__DISTRIBUTED": "critical",
        **environ,
        preload.STORE: settings.store,
        preload.ENGINE: settings.engine,
        preload.MEMORY_MB: "" if settings.memory_mb is None else str(settings.memory_mb),
        preload.GPUS: "" if settings.gpus is None else str(settings.gpus),
        preload.TOOLCHAINS: " ".join(settings.toolchains),
        preload.RESOURCES: " ".join(settings.resources),
    }


def _run(settings: Settings) -> int:
    """The status of one worker, from its start to its end; negative: the signal that killed it."""
    words = [settings.scheduler, settings.name, str(settings.slots), str(os.getpid())]
    child = subprocess.Popen(
        [sys.executable, "-m", "builder.cluster.child", *words],
        env=environment(settings, os.environ),
        stdin=subprocess.DEVNULL,
        # Ctrl-C in the terminal reaches only this process, which then ends the worker in order.
        start_new_session=True,
    )
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_SECONDS)
        raise
    finally:
        # Told to stop a second time, or out of patience.
        if child.poll() is None:
            child.kill()
            child.wait()


def _ended(status: int) -> str:
    if status < 0:
        known = -status in {*map(int, signal.Signals)}  # not all real-time signals have names
        return f"killed by {signal.Signals(-status).name if known else f'signal {-status}'}"
    return f"ended with status {status}" if status else "its scheduler has gone, or has sent it away"
