"""Kills and cuts at random in a cluster that works; each is mended some seconds later."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.cluster.cluster import Cluster
from tests.cluster.parts import Worker

KILLS = ("child", "supervisor", "host", "scheduler", "store")
CUTS = ("cable of a worker", "cable of the store")
_WEIGHTS = {"child": 4, "supervisor": 2, "host": 4, "scheduler": 3, "store": 3, CUTS[0]: 2, CUTS[1]: 1}
LONGEST_SECONDS = 8.0
"""For which anything is away: the store's and the scheduler's patience is to be longer."""


class Harm:
    """``once`` does one harm and mends it. Of the workers, half the time it strikes one that ``training`` names."""

    def __init__(
        self, cluster: Cluster, chance: random.Random, training: Callable[[], set[str]], say: Callable[[str], None]
    ) -> None:
        self._cluster, self._chance, self._training, self._say = cluster, chance, training, say

    def once(self) -> str | None:
        """What was done, one of KILLS or CUTS; None if what it should have struck was down by itself."""
        kind = self._chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        worker = self._chance.choice(self._cluster.workers)
        if self._chance.random() < 0.5:
            names = self._training()
            worker = next((other for other in self._cluster.workers if other.host.name in names), worker)
        away = round(self._chance.uniform(0.3, LONGEST_SECONDS), 1)
        about = worker.host.name if kind in ("child", "supervisor", "host", CUTS[0]) else ""
        if kind == "child" and not worker.kill_child():
            return None
        self._say(f"{kind} {about}".rstrip() + ("" if kind == "child" else f", for {away} s"))
        if kind in ("supervisor", "host"):
            self._worker(worker, kind, away)
        elif kind == "scheduler":
            self._cluster.scheduler.kill()
            time.sleep(away)
            self._cluster.scheduler.start()
        elif kind == "store":
            self._cluster.store.kill()
            time.sleep(away)
            self._cluster.store.start()
        elif kind in CUTS:
            self._cluster.cut_for(worker.host if kind == CUTS[0] else self._cluster.store.host, away)
        return kind

    def _worker(self, worker: Worker, kind: str, away: float) -> None:
        if kind == "host":
            worker.host.kill()
        else:
            worker.kill()
        time.sleep(away)
        self._cluster.restart(worker)
