"""The Dask worker that ``tinsmith worker`` runs: ``python -m builder.cluster.child SCHEDULER NAME SLOTS PARENT``."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from distributed import Status, Worker

from builder.cluster import context

LOST = 0
"""The status when the scheduler has gone, or has sent the worker away."""
_REFUSED = 1
_SILENT_SECONDS = 10.0
_DIE_WITH_PARENT = 1
_STEP_SECONDS = 20.0
"""For a running step to end in peace; more than the engines give it. Whoever stops machines often gives 30."""
_CLOSE_SECONDS = 5.0


def main(words: Sequence[str]) -> int:
    scheduler, name, slots, parent = words
    _die_with(int(parent))
    return asyncio.run(_work(scheduler, name, int(slots)))


def _die_with(parent: int) -> None:
    """Has the kernel kill this process when its parent goes, however that goes: two workers must not be left of one."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(LOST)


async def _work(scheduler: str, name: str, slots: int) -> int:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    worker = Worker(
        scheduler,
        nthreads=slots,
        name=name,
        preload=["builder.cluster.preload"],
        dashboard=False,
        # Steps are processes of their own, which their engine watches.
        memory_limit=0,
    )
    stopping = asyncio.ensure_future(told.wait())
    starting = asyncio.ensure_future(_started(worker))
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED, timeout=_SILENT_SECONDS)
    if not starting.done() and not stopping.done():
        context.say(f"worker {name}: waiting for the scheduler at {scheduler}")
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        return 0
    try:
        await starting
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        # Another worker of this name, a scheduler of another version, no certificate or one that does not fit. Dask
        # says "failed to start", and the reason is behind that.
        reason = str(error.__cause__ or error)
        taken = "another worker has its name" if "name taken" in reason else reason
        context.say(f"worker {name}: cannot join {scheduler}: {taken}")
        return _REFUSED
    context.say(f"worker {name}: at {scheduler}")
    ending = asyncio.ensure_future(_ended(worker))
    await asyncio.wait({ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stopping.done():
        await _leave(worker)
    return LOST


async def _started(worker: Worker) -> None:
    await worker


async def _ended(worker: Worker) -> None:
    await worker.finished()


async def _leave(worker: Worker) -> None:
    """Takes no further step, has those that run stop and keep what they have, and says goodbye to the scheduler."""
    worker.status = Status.paused
    context.interrupt()
    latest = time.monotonic() + _STEP_SECONDS
    while context.busy() and time.monotonic() < latest:
        await asyncio.sleep(0.05)
    with suppress(Exception):  # the scheduler may be gone as well
        await asyncio.wait_for(worker.close_gracefully(reason="told to stop"), _CLOSE_SECONDS)


if __name__ == "__main__":
    # Threads that are still in a step do not keep the process; the kernel kills their steps with it.
    os._exit(main(sys.argv[1:]))
