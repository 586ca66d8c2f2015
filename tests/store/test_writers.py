"""Many writers at once, and those that are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Barrier as ThreadBarrier

import pytest

from builder.digest import digest_bytes
from builder.errors import IntegrityError
from builder.store.base import Artifact, StepResult
from builder.store.documents import key_named
from tests.store.places import PROCESSES, Place, put, result_name

WRITERS = 8
ROUNDS = 5
SPAWN = multiprocessing.get_context("spawn")

Contents = Callable[[int, int], bytes]
"""What the writer of this number writes in this round."""


def same(writer: int, number: int) -> bytes:
    return b"weights of round %d" % number


def other(writer: int, number: int) -> bytes:
    return b"weights of writer %d in round %d" % (writer, number)


CONTENTS: dict[str, Contents] = {"same": same, "other": other}


def _publish(place: Place, contents: str, writer: int, wait: Callable[[], object]) -> list[bool]:
    """Of each round, whether this writer's result was taken."""
    store, taken = place.open(), []
    for number in range(ROUNDS):
        result = StepResult(_key(number), "train", (put(store, CONTENTS[contents](writer, number)),), {"n": writer})
        wait()
        try:
            store.record(result)
            taken.append(True)
        except IntegrityError as error:
            assert "gave other bytes" in error.message
            taken.append(False)
    return taken


def _key(number: int):  # type: ignore[no-untyped-def]
    return digest_bytes(b"key %d" % number)


def _judge(place: Place, contents: str, taken: list[list[bool]]) -> None:
    assert len(taken) == WRITERS
    store = place.open()
    for number in range(ROUNDS):
        winners = [writer for writer in range(WRITERS) if taken[writer][number]]
        assert len(winners) == (WRITERS if contents == "same" else 1)
        result = store.lookup(_key(number))
        assert result is not None
        data = store.read(result.artifacts[0].digest)
        assert data in {CONTENTS[contents](writer, number) for writer in winners}


@pytest.mark.parametrize("contents", CONTENTS)
@pytest.mark.parametrize("before", ["nothing", "damaged", "without-blobs"])
def test_of_many_threads_one_result_is_taken(place: Place, contents: str, before: str) -> None:
    _prepare(place, before)
    barrier = ThreadBarrier(WRITERS, timeout=60)
    with ThreadPoolExecutor(WRITERS) as pool:
        running = [pool.submit(_publish, place, contents, writer, barrier.wait) for writer in range(WRITERS)]
        _judge(place, contents, [item.result() for item in running])


def _in_process(
    place: Place, contents: str, writer: int, barrier: Barrier, out: SimpleQueue[tuple[int, list[bool]]]
) -> None:
    out.put((writer, _publish(place, contents, writer, barrier.wait)))


@pytest.mark.parametrize("place", PROCESSES, indirect=True)
def test_of_many_processes_one_result_is_taken(place: Place) -> None:
    barrier, out = SPAWN.Barrier(WRITERS, timeout=120), SPAWN.SimpleQueue()
    processes = [
        SPAWN.Process(target=_in_process, args=(place, "other", writer, barrier, out)) for writer in range(WRITERS)
    ]
    for process in processes:
        process.start()
    found = dict(out.get() for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    _judge(place, "other", [found[writer] for writer in range(WRITERS)])


def _prepare(place: Place, before: str) -> None:
    store = place.open()
    for number in range(ROUNDS):
        if before == "damaged":
            place.put(result_name(_key(number)), b'{"key": ')
        elif before == "without-blobs":
            nobodys = Artifact("file", digest_bytes(b"gone %d" % number), 6)
            store.record(StepResult(_key(number), "train", (nobodys,), {}))


def test_many_threads_write_one_blob(place: Place, tmp_path: Path) -> None:
    data = os.urandom(6 << 20)
    (tmp_path / "file").write_bytes(data)

    def write(number: int) -> str:
        return place.open().write(tmp_path / "file") if number % 2 else place.open().write_bytes(data)

    with ThreadPoolExecutor(WRITERS) as pool:
        assert set(pool.map(write, range(WRITERS))) == {digest_bytes(data)}
    assert place.open().read(digest_bytes(data)) == data
    assert len(place.names("blobs")) == 1


def _write_until_killed(place: Place, source: Path) -> None:
    store, number, test = place.open(), 0, multiprocessing.parent_process()
    while test is not None and test.is_alive():  # one that is interrupted kills nobody, and a disk is soon full
        data = os.urandom(6 << 20 if number % 3 == 2 else 1 << 16)
        source.write_bytes(data)
        digest = store.write(source)
        store.record(StepResult(digest, "step", (Artifact("file", digest, len(data)),), {"number": number}))
        number += 1


@pytest.mark.parametrize("place", PROCESSES, indirect=True)
def test_a_writer_killed_at_any_moment_leaves_the_store_valid(place: Place, tmp_path: Path) -> None:
    for delay in (0.01, 0.05, 0.1, 0.13):
        writer = SPAWN.Process(target=_write_until_killed, args=(place, tmp_path / "source"))
        before = len(place.names("results"))
        writer.start()
        # How long a process takes to start is the machine's affair: the moment counts from its first result on.
        deadline = time.monotonic() + 60
        while len(place.names("results")) == before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    store, count = place.open(), 0
    for name in place.names("results"):
        key = key_named(name.removeprefix("results/"))
        if key is None:
            assert place.kind == "folder" and "#" in name  # half of a file, which no reader sees
            continue
        found = store.lookup(key)
        assert found is not None
        assert store.read(found.artifacts[0].digest)
        count += 1
    assert count >= 4
    assert len(store.recent(1000)) == count
    # What the killed ones left does not keep the next one from writing the same.
    assert store.write(tmp_path / "source") == digest_bytes((tmp_path / "source").read_bytes())
