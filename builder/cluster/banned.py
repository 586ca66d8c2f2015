"""Workers that gave wrong bytes are sent away."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable

from builder.cluster.connection import Connection, workers_of
from builder.engine.base import Emit


def drop(connection: Connection, names: Iterable[str], why: str, emit: Emit) -> None:
    """Ends the workers called ``names``, for good where 'tinsmith worker' started them, and says so."""
    wanted = {name for name in names if name}
    if not wanted:
        return
    client, found = connection.client(), dict[str, str]()
    with contextlib.suppress(Exception):  # of a scheduler that is gone; what is asked for again may go to others
        workers = workers_of(client).items()
        found = {address: str(item["name"]) for address, item in workers if str(item["name"]) in wanted}
    for address, name in found.items():
        emit("message", {"worker": name, "text": f"worker {name} is dropped: {why}"})
        with contextlib.suppress(Exception):  # it ends before it can answer
            client.run(_leave, why, workers=[address], wait=False)
    if found:
        with contextlib.suppress(Exception):
            client.retire_workers(workers=list(found), close_workers=True, remove=True)


async def _leave(why: str) -> None:
    """On the worker. One that 'tinsmith worker' keeps running would come back if it only ended.

    A coroutine, as Dask waits for the end of anything else.
    """
    if getattr(sys.modules["__main__"].__spec__, "name", "") == "builder.cluster.child":
        from builder.cluster.worker import drop as end_for_good

        end_for_good(why)
