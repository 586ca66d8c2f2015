"""``python -m tests.bench.small_workers ADDRESS COUNT``: so many Dask workers in one process, each of one thread, with
the resources of tinsmith's; for what a scheduler manages, not for work."""

from __future__ import annotations

import asyncio
import sys

from builder.cluster.resources import MEMORY, SLOTS

TOOLCHAIN = "toolchain:tf1.15:0123456789ab"
BUILD = "build:0123456789ab:0.1.0"
OFFERED = {SLOTS: 1.0, MEMORY: 8000.0, TOOLCHAIN: 1e9, BUILD: 1e9}
DEMANDED = {SLOTS: 1.0, MEMORY: 1000.0, TOOLCHAIN: 1.0, BUILD: 1.0}


async def run(address: str, count: int) -> None:
    from distributed import Worker

    workers = [
        Worker(address, nthreads=1, name=f"small-{number}", resources=OFFERED, dashboard=False, memory_limit=0)
        for number in range(count)
    ]
    for start in range(0, count, 50):
        await asyncio.gather(*workers[start : start + 50])
    await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
