"""A scheduler and workers of this machine, as processes, whose steps are those of ``noop.py``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.conftest import ROOT


@dataclass
class Local:
    """``address`` of the scheduler, ``store``: its URL; workers are called w0, w1 and so on."""

    folder: Path
    address: str
    store: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]

    def add_worker(self, **own: str) -> str:
        """Starts one more; its name."""
        name = f"w{len(self.workers)}"
        words = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", "tests.cluster.noop", "--name", name]
        cache = {"TINSMITH_CACHE": str(self.folder / f"cache-{name}"), "TINSMITH_STORE": self.store}
        self.workers.append(_dask(self.folder, ["worker", self.address, *words], {**cache, **own}))
        return name

    def restart_scheduler(self) -> None:
        """Kills it, and starts another in its place, with as many new workers as there were."""
        self.scheduler.kill()
        self.scheduler.wait()
        for process in self.workers:
            process.kill()
            process.wait()
        self.scheduler = _scheduler(self.folder, int(self.address.rpartition(":")[2]))
        for _ in list(self.workers):
            self.add_worker()


@contextmanager
def local_cluster(folder: Path, workers: int) -> Iterator[Local]:
    """``folder`` gets the store, a cache for each worker, and what they print."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scheduler = _scheduler(folder, port)
    cluster = Local(folder, f"tcp://127.0.0.1:{port}", f"file://{folder / 'store'}", scheduler, [])
    try:
        for _ in range(workers):
            cluster.add_worker()
        _wait_for(cluster)
        yield cluster
    finally:
        for process in (*cluster.workers, cluster.scheduler):
            process.kill()
            process.wait()


def _wait_for(cluster: Local) -> None:
    from distributed import Client

    deadline = time.monotonic() + 60
    while True:
        try:
            with Client(cluster.address, set_as_default=False, timeout=10) as client:
                if cluster.workers:
                    client.wait_for_workers(len(cluster.workers), timeout=60)
                return
        except OSError:
            if time.monotonic() > deadline or cluster.scheduler.poll() is not None:
                raise


def _scheduler(folder: Path, port: int) -> subprocess.Popen[bytes]:
    return _dask(folder, ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], {})


def _dask(folder: Path, words: list[str], own: Mapping[str, str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_LOGGING__DISTRIBUTED": "error", **own}
    with (folder / "dask.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words], cwd=folder, env=environment, stdout=log, stderr=log
        )
