"""What a scheduler and stores manage on this machine, and what a step asks of a store: for ``tests.bench.scale``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from builder.cluster.context import Context
from builder.cluster.job import Job, publish_code, this_version
from builder.cluster.work import _Work
from builder.digest import Digest, digest_bytes, digest_json, hex_of
from builder.plan.code import StepCode
from builder.plan.step import Plan
from builder.store.bucket import Bucket
from builder.store.cached import CachedStore
from builder.store.disk import DiskStore
from builder.store.objects import ObjectStore
from builder.store.places import remote_store
from tests.bench.small_workers import DEMANDED
from tests.fakes import Events, FakeEngine
from tests.integration.conftest import ROOT
from tests.s3 import BUCKET, free_port, server

_STORE_THREADS = 8
_SMALL, _LARGE = 300, 40
_LARGE_BYTES = 4 << 20
_CHAIN = 9
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class SchedulerRate:
    """Tasks a second: ``seen`` here, where workers share the processors with the scheduler; ``alone``: a second of the
    scheduler's own processor time, which is what a machine of its own would give."""

    workers: int
    seen: float
    alone: float


@dataclass(frozen=True)
class StoreRate:
    name: str
    puts: float
    gets: float
    written: float
    read: float


@dataclass(frozen=True)
class Asked:
    """Of a store, by one step on a worker that has nothing in its cache: requests, and seconds on a shared folder."""

    requests: int
    seconds: float


@dataclass(frozen=True)
class Rates:
    """``asked`` by step name; ``schedulers`` by growing numbers of workers; the first of ``stores`` is the folder."""

    asked: Mapping[str, Asked]
    schedulers: Sequence[SchedulerRate]
    stores: Sequence[StoreRate]

    def tasks_a_second(self, workers: int) -> float:
        """Of a scheduler of its own with so many workers: the time of a task grows in line with their number, as each
        that demands resources is held against all of them."""
        first, last = self.schedulers[0], self.schedulers[-1]
        if first.workers == last.workers:
            return last.alone
        growth = max(0.0, (1 / last.alone - 1 / first.alone) / (last.workers - first.workers))
        return 1 / (1 / first.alone + growth * (workers - first.workers))


def scheduler_rate(workers: int, plans: int) -> SchedulerRate:
    """Chains of tasks that do nothing, with priorities and resources, as steps have them."""
    from distributed import Client, wait

    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_LOGGING__DISTRIBUTED": "critical"}
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    small = [sys.executable, "-m", "tests.bench.small_workers", address, str(workers)]
    with (
        _process(command, env) as scheduler,
        _process(small, env),
        Client(address, set_as_default=False, timeout=60) as client,
        client.as_current(),
    ):
        client.wait_for_workers(workers, timeout=300)
        wait(_submitted(client, 10, "warm"))
        used, begun = _processor(scheduler.pid), time.perf_counter()
        futures = _submitted(client, plans, "run")
        wait(futures)
        seconds, used = time.perf_counter() - begun, _processor(scheduler.pid) - used
        assert {future.status for future in futures} == {"finished"}
    count = plans * _CHAIN
    return SchedulerRate(workers, count / seconds, count / used)


def _submitted(client: Any, plans: int, name: str) -> list[Any]:
    import dask
    from dask._task_spec import Task, TaskRef

    graph: dict[tuple[str, str, int], Any] = {}
    for plan in range(plans):
        before: list[Any] = []
        for number in range(_CHAIN):
            key = (f"step-{number}", hex_of(digest_json([name, plan, number])), 0)
            graph[key] = Task(key, _nothing, *before)
            before = [TaskRef(key)]
    priorities = {key: float(_CHAIN - int(key[0].removeprefix("step-"))) for key in graph}
    with dask.annotate(priority=priorities.__getitem__, resources=DEMANDED):
        futures: list[Any] = client.get(graph, list(graph), sync=False)
    return futures


def _nothing(*_: object) -> None:
    return None


@contextmanager
def _process(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _processor(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def store_rates() -> list[StoreRate]:
    """Of a shared folder on this machine's disk, and of moto's S3 server."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-scale-") as folder:
        found = [_store_rate("a shared folder", remote_store(f"file://{folder}/store", 30.0), Path(folder))]
        with server() as running, mock.patch.dict(os.environ, running.environment):
            found.append(_store_rate("moto's S3 server", remote_store(f"s3://{BUCKET}/rates", 30.0), Path(folder)))
    return found


def _store_rate(name: str, store: ObjectStore, folder: Path) -> StoreRate:
    small = [b"%d of %s" % (number, name.encode()) for number in range(_SMALL)]
    large = []
    for number in range(_LARGE):
        path = folder / f"{digest_bytes(name.encode())[-8:]}-{number}"
        path.write_bytes(os.urandom(_LARGE_BYTES))
        large.append(path)
    digests: list[Digest] = []
    with ThreadPoolExecutor(_STORE_THREADS) as pool:

        def rate(action: Any, items: Sequence[Any]) -> float:
            begun = time.perf_counter()
            digests[:] = list(pool.map(action, items))
            return len(items) / (time.perf_counter() - begun)

        puts = rate(store.write_bytes, small)
        kept = [digest_bytes(data) for data in small]
        gets = rate(store.read, kept)
        written = rate(store.write, large) * _LARGE_BYTES
        read = rate(store.read, list(digests)) * _LARGE_BYTES
    # A put also asks first whether the blob is there: two requests.
    return StoreRate(name, 2 * puts, gets, written, read)


def asked(plan: Plan, code: StepCode, sizes: Mapping[str, Sequence[int]]) -> dict[str, Asked]:
    """What each step of ``plan`` asks of a store, counted while it goes the way of a worker's step with an engine that
    writes files of these ``sizes``, by step."""
    keys = {step.name: step.key for step in plan.steps}
    engine = FakeEngine(lambda step, _: {f"{at}.bin": os.urandom(size) for at, size in enumerate(sizes[step.name])})
    requests: list[int] = []
    call = Bucket._call

    def counted(self: Bucket, *words: Any, **named: Any) -> Any:
        requests.append(1)
        return call(self, *words, **named)

    found = {}
    with tempfile.TemporaryDirectory(prefix="tinsmith-scale-") as folder:
        remote = remote_store(f"file://{folder}/store", 30.0)
        for number, step in enumerate(plan.steps):
            store = CachedStore(remote, DiskStore(Path(folder) / f"cache-{number}"), 1 << 40)
            job = Job(
                this_version(),
                store.identity(),
                step,
                publish_code(step, code, store),
                {item.step: keys[item.step] for item in step.inputs if item.step is not None},
            )
            with mock.patch.object(Bucket, "_call", counted):
                requests.clear()
                begun = time.perf_counter()
                outcome = _Work(job, Context("bench", store, lambda: engine), Events()).outcome()
                seconds = time.perf_counter() - begun
            if outcome.status != "done":
                raise SystemExit(f"step {step.name}: {outcome.message}")
            found[step.name] = Asked(len(requests), seconds)
    return found
