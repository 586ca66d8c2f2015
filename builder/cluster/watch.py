"""The workers of a cluster while steps are under way: how many, which were lost, whether one can take a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from builder.cluster import connection
from builder.cluster.resources import MEMORY, SLOTS, Resources, fits, unplaceable
from builder.digest import Digest
from builder.engine.base import Emit
from builder.errors import NoEngine
from builder.plan.step import Step
from builder.settings import cluster_patience

if TYPE_CHECKING:
    from distributed import Client


Demands = Mapping[Digest, Resources]

_FIRST_WORKER_SECONDS = 5.0


class Watch:
    """Tells of workers that come and go."""

    def __init__(self, client: Client, emit: Emit) -> None:
        self._client, self._emit = client, emit
        self._workers: dict[str, Resources] = {}
        self._told: int | None = None
        self._silent_since: float | None = None
        self._running: dict[Digest, tuple[str, str]] = {}
        self._demands: Demands = {}
        self._steps: Mapping[Digest, Step] = {}
        self._since: dict[Digest, float] = {}
        self._told_stuck: set[str] = set()
        self._ask()

    def offers(self) -> list[Resources]:
        """What each worker there is offers; where there is none, one may be about to come."""
        until = time.monotonic() + _FIRST_WORKER_SECONDS
        while not self._workers and time.monotonic() < until:
            time.sleep(0.1)
            self._ask()
        return list(self._workers.values())

    def expect(self, demands: Demands, steps: Mapping[Digest, Step]) -> None:
        """Which steps are to be placed, and what each needs."""
        self._demands, self._steps = demands, steps

    def note(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Takes in an event of a step."""
        if kind in ("preparing", "started"):
            key, now = detail["key"], (str(detail.get("name", "")), str(detail.get("worker", "")))
            if self._running.get(key, now) != now:
                self._lost(key)
            self._running[key] = now

    def demands_less(self, pending: Collection[Digest], demands: Callable[[Sequence[Resources]], Demands]) -> bool:
        """Whether a step that no worker can take, as things stand, could be taken if it were submitted now: its memory
        is unknown, and was demanded when there were no such workers."""
        offers = list(self._workers.values())
        stuck = [key for key in self._since if key in pending]
        fresh = demands(offers) if stuck and offers else {}
        return any(fits(fresh[key], offer) for key in stuck if key in fresh for offer in offers)

    def stop(self, pending: Collection[Digest]) -> None:
        """Says of those of ``pending`` that run that they are given up."""
        for key, (name, worker) in self._running.items():
            if key in pending:
                self._emit("failed", {"step": name, "key": key, "worker": worker, "code": "interrupted"})

    def look(self, pending: Collection[Digest]) -> dict[Digest, str]:
        """Asks the scheduler, and tells of what has changed. The steps of ``pending`` that no worker can take, for
        longer than anybody wants to wait, and why. NoEngine if the scheduler stays silent for as long."""
        self._ask()
        for key, (_, worker) in list(self._running.items()):
            if key not in pending:
                del self._running[key]
            elif worker not in self._workers:
                self._lost(key)
        return self._unplaced(pending)

    def _lost(self, key: Digest) -> None:
        name, worker = self._running.pop(key)
        self._emit("lost", {"key": key, "step": name, "worker": worker, "text": f"worker {worker} is gone"})

    def _ask(self) -> None:
        try:
            workers = connection.workers_of(self._client)
        except TimeoutError:
            self._silent()
            return
        except Exception:  # the connection is just being lost, which the round sees for itself
            return
        self._silent_since = None
        # Any worker may be there, also one that declares what makes no sense.
        self._workers = {
            str(item.get("name", address)): _sound(item.get("resources")) for address, item in workers.items()
        }
        if len(self._workers) != self._told:
            self._told = len(self._workers)
            total = {name: sum(offer.get(name, 0.0) for offer in self._workers.values()) for name in (SLOTS, MEMORY)}
            self._emit("workers", {"workers": self._told, "offers": total})

    def _silent(self) -> None:
        """The connection stands and nobody answers, as of a machine that hangs, or swaps. NoEngine if that lasts."""
        scheduler: Any = self._client.scheduler
        address, now = scheduler.address, time.monotonic()
        if self._silent_since is None:
            self._silent_since = now - connection.ANSWER_SECONDS
            self._emit("message", {"text": f"the scheduler at {address} does not answer"})
        if (patience := cluster_patience()) < now - self._silent_since:
            raise NoEngine(
                f"the scheduler at {address} does not answer for {patience:g} s",
                help="start it again, and run the same command: what is finished is in the store",
            )

    def _unplaced(self, pending: Collection[Digest]) -> dict[Digest, str]:
        now, fit = time.monotonic(), dict[tuple[tuple[str, float], ...], bool]()
        for key in pending:
            demand = tuple(sorted(self._demands[key].items()))
            if demand not in fit:  # of thousands of steps there are few different ones
                fit[demand] = any(fits(dict(demand), offer) for offer in self._workers.values())
            if fit[demand]:
                self._since.pop(key, None)
            else:
                self._since.setdefault(key, now)
        stuck = [key for key, since in self._since.items() if key in pending]
        for key in stuck:
            if self._workers and now - self._since[key] > _FIRST_WORKER_SECONDS:
                self._tell_stuck(key)
        late = [key for key in stuck if now - self._since[key] > cluster_patience()]
        return {key: f"step {self._steps[key].name}: {unplaceable(self._demands[key], self._workers)}" for key in late}

    def _tell_stuck(self, key: Digest) -> None:
        """Once for each reason: there may be thousands of steps, and somebody who waits for minutes."""
        why = unplaceable(self._demands[key], self._workers)
        if why not in self._told_stuck:
            self._told_stuck.add(why)
            text = f"waiting for a worker that can: {why}"
            self._emit("message", {"step": self._steps[key].name, "key": key, "text": text})


def _sound(offer: Any) -> Resources:
    if not isinstance(offer, Mapping):
        return {}
    return {str(name): float(value) for name, value in offer.items() if isinstance(value, int | float)}
