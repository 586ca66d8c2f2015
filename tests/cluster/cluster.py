"""A whole cluster: a rack with a scheduler, a store and workers, each on a host of its own but for the scheduler."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from tests.cluster.building import Building, Event
from tests.cluster.hosts import Host, Rack
from tests.cluster.parts import BUCKET, Scheduler, Store, Worker


class Cluster:
    """A context manager. ``env`` is what every program finds, over what it takes to reach the store.

    Workers belong to one store: ``work_for`` starts them, and starts others in their place when the store is another.
    """

    def __init__(
        self, hosts: int, cores: float, *, folder: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.rack = Rack(folder)
        self._count, self._cores, self._own = hosts, cores, dict(env or {})
        self._stack = ExitStack()
        self.workers: list[Worker] = []
        self.prefix = ""

    def __enter__(self) -> Cluster:
        with self._stack:
            self._stack.enter_context(self.rack)
            self.store = Store(self.rack.add("store"))
            self.scheduler = Scheduler(self.rack.head)
            self.hosts = [self.rack.add(f"worker{number + 1}", self._cores) for number in range(self._count)]
            self.store.start()
            self.scheduler.start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        return {**self.store.environment, **self._own}

    @property
    def url(self) -> str:
        """Of the store that the workers have now."""
        return f"s3://{BUCKET}/{self.prefix}"

    @property
    def objects(self) -> Path:
        """The same as a folder of this machine, for looking only."""
        return self.store.objects / BUCKET / self.prefix

    def work_for(self, prefix: str, special: Mapping[int, Mapping[str, str]] | None = None) -> None:
        """Workers for the store ``prefix``; ``special``: further variables of some, by number.

        Nobody has blobs from before, so all that is read comes out of the store.
        """
        for host in self.hosts:
            host.kill()
        for host in (*self.hosts, self.rack.head):
            shutil.rmtree(host.folder / "cache" / "store", ignore_errors=True)
        self.prefix = prefix
        self.workers = [
            Worker(host, self.scheduler.url, self.url, {**self.environment, **(special or {}).get(number, {})})
            for number, host in enumerate(self.hosts)
        ]
        for worker in self.workers:
            worker.start()

    def build(
        self,
        folder: Path,
        heard: Callable[[Event], None] = lambda event: None,
        env: Mapping[str, str] | None = None,
        words: Sequence[str] = (),
    ) -> Building:
        where = ["--scheduler", self.scheduler.url, "--store", self.url]
        return Building(self.rack.head, folder, [*where, *words], {**self.environment, **(env or {})}, heard)

    def restart(self, worker: Worker) -> None:
        """Starts a worker whose host has lost all its processes, or which ended by itself."""
        worker.host.kill()
        worker.start()

    def cut_for(self, host: Host, seconds: float) -> None:
        self.rack.cut(host)
        try:
            time.sleep(seconds)
        finally:
            self.rack.join(host)
