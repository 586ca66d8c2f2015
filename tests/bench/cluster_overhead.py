"""``python -m tests.bench.cluster_overhead``: 1,000 steps that do nothing on a Dask cluster, beside Dask alone.

Both run on the same scheduler and four worker processes in turn. Dask alone is ``client.map`` of the same function and
``gather``; tinsmith's steps go the whole way: submitted with priorities and resources, looked up, given a scratch
folder and their code, run, their outputs hashed and published in a shared folder, results recorded and hashed again.
Folders lie in memory where they can: Dask alone uses no disk, and it is not the disk that is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from builder.cluster.fill import fill
from builder.cost.model import CostModel
from builder.digest import digest_json
from builder.store.places import open_store
from tests.cluster.local import local_cluster
from tests.cluster.noop import CODE, noop_plan, nothing
from tests.fakes import Events

MOST_RATIO = 3.0


def bare(address: str, count: int, name: str) -> float:
    """Seconds of Dask alone."""
    from distributed import Client

    keys = [digest_json([name, number]) for number in range(count)]
    with Client(address, set_as_default=False) as client:
        begun = time.perf_counter()
        found = client.gather(client.map(nothing, keys, pure=False))
        seconds = time.perf_counter() - begun
    assert len(set(found)) == count
    return seconds


def steps(address: str, count: int, name: str, store: Any) -> float:
    """Seconds of the same as steps."""
    events = Events()
    begun = time.perf_counter()
    filled = fill(
        [noop_plan(name, count)], code=CODE, sources=lambda digest: Path(), store=store, scheduler=address,
        demand={}, costs=CostModel.learnt([]), emit=events,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    assert len(filled.ran) == count and not filled.failed, events[-3:]
    return seconds


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.bench.cluster_overhead")
    words.add_argument("--steps", type=int, default=1000)
    words.add_argument("--workers", type=int, default=4)
    words.add_argument("--runs", type=int, default=5)
    chosen = words.parse_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tinsmith-overhead-", dir=memory) as name:
        folder = Path(name)
        os.environ["TINSMITH_CACHE"] = str(folder / "cache")
        with local_cluster(folder, chosen.workers) as cluster:
            address, store = cluster.address, open_store(cluster.store)
            bare(address, 100, "warm"), steps(address, 100, "warm", store)
            alone, ours = [], []
            for run in range(chosen.runs):
                alone.append(bare(address, chosen.steps, f"run {run}"))
                ours.append(steps(address, chosen.steps, f"run {run}", store))
                print(f"Dask alone {alone[-1]:6.2f} s   steps {ours[-1]:6.2f} s   ratio {ours[-1] / alone[-1]:.2f}")
    ratio = statistics.median(ours) / statistics.median(alone)
    print(f"median ratio of {chosen.steps} steps: {ratio:.2f} (at most {MOST_RATIO:g})")
    return 0 if ratio <= MOST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
