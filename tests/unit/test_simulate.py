"""Order and makespan of steps on workers, held against bounds that are proven."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.cost.order import ordered, ranks
from builder.cost.simulate import Cluster, Simulation, Task, simulate
from builder.digest import Digest, digest_bytes

Tasks = Mapping[Digest, Task]


def key(number: int) -> Digest:
    return digest_bytes(b"%d" % number)


@st.composite
def graphs(draw: st.DrawFn) -> Tasks:
    count = draw(st.integers(1, 30))
    tasks = {}
    for number in range(count):
        needs = draw(st.lists(st.integers(0, number - 1), max_size=3)) if number else []
        seconds = draw(st.floats(0.01, 100))
        memory = draw(st.sampled_from([0.0, 100.0, 700.0, 1000.0]))
        moved = draw(st.integers(0, 1000))
        tasks[key(number)] = Task(seconds, tuple(map(key, needs)), memory, float(moved))
    shuffled = draw(st.permutations(list(tasks)))
    return {name: tasks[name] for name in shuffled}


def longest(tasks: Tasks) -> dict[Digest, float]:
    """Ranks by the definition, with no thought of speed."""
    found: dict[Digest, float] = {}
    for _ in tasks:
        for name, task in tasks.items():
            users = [found.get(other, 0.0) for other, item in tasks.items() if name in item.needs]
            found[name] = task.seconds + max(users, default=0.0)
    return found


@given(graphs())
def test_ranks_are_the_longest_ways_to_the_end(tasks: Tasks) -> None:
    needs = {name: [*task.needs, digest_bytes(b"done")] for name, task in tasks.items()}
    assert ranks(needs, {name: task.seconds for name, task in tasks.items()}) == pytest.approx(longest(tasks))
    order = ordered(needs)
    for name, task in tasks.items():
        assert all(order.index(other) < order.index(name) for other in task.needs)


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        ranks({key(1): [key(2)], key(2): [key(1)]}, {key(1): 1.0, key(2): 1.0})


def sound(found: Simulation, tasks: Tasks, slots: int) -> None:
    path, total = max(longest(tasks).values()), sum(task.seconds for task in tasks.values())
    assert found.makespan >= max(path, total / slots) * (1 - 1e-9)
    assert found.busy == pytest.approx(total / slots / found.makespan)
    assert sum(tasks[name].seconds for name in found.path) == pytest.approx(path) == found.path_seconds
    assert all(one in tasks[other].needs for one, other in zip(found.path, found.path[1:], strict=False))
    assert 1 <= found.most <= min(slots, len(tasks))


@given(graphs(), st.integers(1, 8))
def test_no_makespan_is_shorter_than_possible_or_longer_than_grahams_bound(tasks: Tasks, workers: int) -> None:
    found = simulate(tasks, Cluster(workers))
    sound(found, tasks, workers)
    path, total = found.path_seconds, found.total
    assert found.makespan <= (total / workers + (1 - 1 / workers) * path) * (1 + 1e-9)
    assert simulate(tasks, Cluster(len(tasks))).makespan == pytest.approx(path)


@given(graphs(), st.integers(1, 4), st.integers(1, 3))
def test_memory_only_ever_delays(tasks: Tasks, workers: int, slots: int) -> None:
    found = simulate(tasks, Cluster(workers, slots, memory_mb=1000.0))
    sound(found, tasks, workers * slots)
    wide = simulate(tasks, Cluster(workers, slots, memory_mb=1000.0 * slots))
    assert wide.makespan == pytest.approx(simulate(tasks, Cluster(workers * slots)).makespan)
    needed = sum(task.seconds * task.memory_mb for task in tasks.values())
    assert found.makespan >= needed / (1000.0 * workers) * (1 - 1e-9)


@given(graphs(), st.integers(1, 8))
def test_rates_are_bounds_too(tasks: Tasks, workers: int) -> None:
    found = simulate(tasks, Cluster(workers, tasks_a_second=0.1, bytes_a_second=10.0))
    sound(found, tasks, workers)
    assert found.makespan >= max(found.bounds.values()) * (1 - 1e-9)
    assert found.bounds["scheduler"] == pytest.approx(len(tasks) * 10.0)
    assert found.bounds["store"] == pytest.approx(sum(task.moved for task in tasks.values()) / 10.0)


def test_the_longest_way_comes_first() -> None:
    """Four short ones before the chain would take 8 + 12 seconds."""
    chain = {key(9): Task(6.0), key(8): Task(6.0, (key(9),))}
    short = {key(number): Task(3.0) for number in range(4)}
    found = simulate({**short, **chain}, Cluster(2))
    assert (found.makespan, found.path, found.bound) == (12.0, (key(9), key(8)), "path")
    assert found.busy == pytest.approx(1.0)


def test_steps_share_a_worker_only_if_it_has_the_memory() -> None:
    tasks = {key(number): Task(10.0, memory_mb=600.0) for number in range(4)}
    assert simulate(tasks, Cluster(2, slots=2, memory_mb=1000.0)).makespan == 20.0
    assert simulate(tasks, Cluster(2, slots=2, memory_mb=1200.0)).makespan == 10.0
    with pytest.raises(ValueError, match="600 MB"):
        simulate(tasks, Cluster(2, memory_mb=500.0))


@pytest.mark.parametrize(
    ("cluster", "bound"),
    [
        (Cluster(2), "workers"),
        (Cluster(100), "path"),
        (Cluster(100, tasks_a_second=1.0), "scheduler"),
        (Cluster(100, bytes_a_second=100.0), "store"),
    ],
)
def test_what_holds_it_up_is_named(cluster: Cluster, bound: str) -> None:
    found = simulate({key(number): Task(10.0, moved=200.0) for number in range(50)}, cluster)
    assert found.bound == bound


def test_nothing_to_do_takes_no_time() -> None:
    found = simulate({}, Cluster(3))
    assert (found.makespan, found.total, found.busy, found.path, found.most) == (0.0, 0.0, 0.0, (), 0)


def test_a_hundred_thousand_steps_take_seconds() -> None:
    tasks = {}
    for number in range(100_000):
        needs = (key(number - 1),) if number % 10 else ()
        tasks[key(number)] = Task(1.0 + number % 7, needs, 100.0, 1e6)
    begun = time.perf_counter()
    found = simulate(tasks, Cluster(1000, memory_mb=8000.0, tasks_a_second=1000.0, bytes_a_second=1e12))
    assert time.perf_counter() - begun < 20, "some 2 seconds; the others of this machine are not ours to time"
    assert found.makespan >= 100_000 * 4.0 / 1000
