"""A plan's steps laid out on workers before any of them runs: how long, how busy, and what holds it up.

List scheduling: whenever a worker is free it takes, of the steps that may begin, the one with the longest way to go.
That is at most 2 - 1/N times as long as the best of all orders (Graham, "Bounds on multiprocessing timing anomalies",
1969).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.cost.order import ranks, waiting
from builder.digest import Digest

Bound = Literal["path", "workers", "scheduler", "store"]


@dataclass(frozen=True)
class Task:
    """A step. ``moved``: bytes that it reads from and writes to the store that all workers share."""

    seconds: float
    needs: Sequence[Digest] = ()
    memory_mb: float = 0.0
    moved: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """``slots``: steps at once on one worker. ``memory_mb`` of one worker. ``tasks_a_second``: what the scheduler hands
    out; ``bytes_a_second``: what the store gives and takes, all workers together. None: without limit."""

    workers: int
    slots: int = 1
    memory_mb: float | None = None
    tasks_a_second: float | None = None
    bytes_a_second: float | None = None


@dataclass(frozen=True)
class Simulation:
    """``makespan`` and ``total``: seconds, of the whole and of all steps together. ``busy``: share of the slots' time
    in which steps run. ``path``: the longest chain of steps, which takes ``path_seconds``. ``most``: steps at once.
    ``bounds``: the least seconds for each single reason; ``bound`` is the one that holds most."""

    makespan: float
    total: float
    busy: float
    path: tuple[Digest, ...]
    path_seconds: float
    most: int
    bounds: Mapping[Bound, float]

    @property
    def bound(self) -> Bound:
        return max(self.bounds, key=lambda name: self.bounds[name])


def simulate(tasks: Mapping[Digest, Task], cluster: Cluster, rank: Mapping[Digest, float] | None = None) -> Simulation:
    """``tasks`` on ``cluster``. ``rank``: what ``rank_of`` gives, if it is at hand.

    ValueError for a step that needs more memory than a worker has, and for steps in a circle.
    """
    rank = rank_of(tasks) if rank is None else rank
    ends, most = _run(tasks, cluster, rank)
    total = sum(task.seconds for task in tasks.values())
    path = _path(tasks, rank)
    bounds: dict[Bound, float] = {"path": max(rank.values(), default=0.0)}
    bounds["workers"] = total / (cluster.workers * cluster.slots)
    if cluster.tasks_a_second is not None:
        bounds["scheduler"] = len(tasks) / cluster.tasks_a_second
    if cluster.bytes_a_second is not None:
        bounds["store"] = sum(task.moved for task in tasks.values()) / cluster.bytes_a_second
    busy = bounds["workers"] / ends if ends else 0.0
    return Simulation(ends, total, busy, path, bounds["path"], most, bounds)


def rank_of(tasks: Mapping[Digest, Task]) -> dict[Digest, float]:
    return ranks({key: task.needs for key, task in tasks.items()}, {key: task.seconds for key, task in tasks.items()})


def _run(tasks: Mapping[Digest, Task], cluster: Cluster, rank: Mapping[Digest, float]) -> tuple[float, int]:
    """When the last step ends, and how many ran at once."""
    missing, users = waiting({key: task.needs for key, task in tasks.items()})
    ready, pool = _Ready(tasks, rank), _pool(cluster)
    for key, count in missing.items():
        if not count:
            ready.add(key)
    running: list[tuple[float, Digest, int]] = []
    now = scheduler = store = 0.0
    most = 0
    a_task = 1 / cluster.tasks_a_second if cluster.tasks_a_second else 0.0
    a_byte = 1 / cluster.bytes_a_second if cluster.bytes_a_second else 0.0
    while True:
        while (room := pool.room()) is not None and (first := ready.first(room)) is not None:
            task = tasks[first]
            worker = pool.take(task.memory_mb)
            # Scheduler and store serve one after the other: together that takes as long as sharing would.
            begun = scheduler = max(now, scheduler) + a_task
            if a_byte and task.moved:
                begun = store = max(begun, store) + task.moved * a_byte
            heapq.heappush(running, (begun + task.seconds, first, worker))
        most = max(most, len(running))
        if not running:
            break
        now, key, worker = heapq.heappop(running)
        pool.give(worker, tasks[key].memory_mb)
        for user in users.get(key, ()):
            missing[user] -= 1
            if not missing[user]:
                ready.add(user)
    if left := ready.first(float("inf")):
        raise ValueError(f"step {left} needs {tasks[left].memory_mb:,.0f} MB of memory, more than a worker has")
    return now, most


class _Ready:
    """Steps that may begin, by rank, apart for each amount of memory: there are few such amounts."""

    def __init__(self, tasks: Mapping[Digest, Task], rank: Mapping[Digest, float]) -> None:
        self._tasks, self._rank, self._count = tasks, rank, 0
        self._heaps: dict[float, list[tuple[float, int, Digest]]] = {}

    def add(self, key: Digest) -> None:
        self._count += 1
        heap = self._heaps.setdefault(self._tasks[key].memory_mb, [])
        heapq.heappush(heap, (-self._rank[key], self._count, key))

    def first(self, room: float) -> Digest | None:
        """Takes the step with the highest rank of those that fit into ``room`` MB."""
        fitting = [heap for memory, heap in self._heaps.items() if heap and memory <= room]
        return heapq.heappop(min(fitting))[2] if fitting else None


class _Slots:
    """Workers of whose memory nothing is known: free slots are all that counts."""

    def __init__(self, count: int) -> None:
        self._free = count

    def room(self) -> float | None:
        return float("inf") if self._free else None

    def take(self, _: float) -> int:
        self._free -= 1
        return 0

    def give(self, _worker: int, _: float) -> None:
        self._free += 1


class _Workers:
    """Workers with memory; the one with most of it free comes first."""

    def __init__(self, count: int, slots: int, memory_mb: float) -> None:
        self._most = slots, memory_mb
        self._slots, self._memory = [slots] * count, [memory_mb] * count
        self._heap = [(-memory_mb, worker) for worker in range(count)]

    def room(self) -> float | None:
        """MB that are free on the worker that ``take`` takes next; None if no slot is free."""
        heap = self._heap
        while heap and (not self._slots[heap[0][1]] or -heap[0][0] != self._memory[heap[0][1]]):
            heapq.heappop(heap)  # what was said of this worker no longer holds
        return -heap[0][0] if heap else None

    def take(self, memory_mb: float) -> int:
        worker = heapq.heappop(self._heap)[1]
        self._change(worker, -1, -memory_mb)
        return worker

    def give(self, worker: int, memory_mb: float) -> None:
        self._change(worker, 1, memory_mb)

    def _change(self, worker: int, slots: int, memory_mb: float) -> None:
        self._slots[worker] += slots
        # What is taken and given back must leave no rest: a step may need all of it.
        idle = self._slots[worker] == self._most[0]
        self._memory[worker] = self._most[1] if idle else self._memory[worker] + memory_mb
        if self._slots[worker]:
            heapq.heappush(self._heap, (-self._memory[worker], worker))


def _pool(cluster: Cluster) -> _Slots | _Workers:
    if cluster.memory_mb is None:
        return _Slots(cluster.workers * cluster.slots)
    return _Workers(cluster.workers, cluster.slots, cluster.memory_mb)


def _path(tasks: Mapping[Digest, Task], rank: Mapping[Digest, float]) -> tuple[Digest, ...]:
    """The steps of the longest path, from its beginning."""
    _, users = waiting({key: task.needs for key, task in tasks.items()})
    path: list[Digest] = []
    following = list(rank)
    while following:
        path.append(max(following, key=lambda key: rank[key]))
        following = users.get(path[-1], [])
    return tuple(path)
