"""What stopped and killed builds leave in a store: kept where it helps, bounded where it does not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from builder.digest import Digest, digest_bytes
from builder.store import workspaces
from builder.store.base import StepResult
from builder.store.disk import DiskStore


def key(number: int) -> Digest:
    return digest_bytes(str(number).encode())


def stopped(store: DiskStore, number: int, *, checkpoint: bool = True) -> Path:
    """The scratch folder of a step that was killed; ``number`` is also the time of its last checkpoint."""
    with store.claimed(key(number)) as folder:
        for name in ("in/data/train.tfrecord", "steps/run.py", "out/half.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("left")
        if checkpoint:
            saved = folder / "out" / "checkpoints" / "step-00000010.checkpoint"
            saved.parent.mkdir()
            saved.write_text("state")
            os.utime(saved, (number, number))
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_only_the_checkpoints_of_a_stopped_step_are_kept(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    training, other = stopped(store, 1), stopped(store, 2, checkpoint=False)
    assert store.sweep([]) == 0
    assert files(training) == ["out/checkpoints/step-00000010.checkpoint"]
    assert not other.exists()
    assert files(tmp_path / "work") == [
        f"{training.name}.lock",
        f"{training.name}/out/checkpoints/step-00000010.checkpoint",
    ]


def test_a_step_with_a_result_keeps_nothing(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    stopped(store, 1)
    store.record(StepResult(key(1), "train", (), {}))
    store.sweep([key(1)])
    assert list((tmp_path / "work").iterdir()) == []


def test_of_many_stopped_trainings_the_newest_and_the_wanted_are_kept(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    folders = [stopped(store, number) for number in range(1, workspaces.KEPT_TRAININGS + 4)]
    assert store.sweep([key(1)]) == 2
    assert [folder.exists() for folder in folders] == [True, False, False] + [True] * workspaces.KEPT_TRAININGS


def _hold(root: Path, number: int, held: Event) -> None:
    store = DiskStore(root)
    with store.claimed(key(number)):
        held.set()
        time.sleep(600)


def test_what_another_build_holds_is_left_alone_until_it_is_killed(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    folder = stopped(store, 1, checkpoint=False)
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=_hold, args=(tmp_path, 1, held))
    other.start()
    assert held.wait(60)
    store.sweep([])
    assert len(files(folder)) == 3
    assert other.pid is not None
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    store.sweep([])
    assert list((tmp_path / "work").iterdir()) == []


def test_a_claim_waits_for_the_one_before_and_gets_a_lock_that_counts(tmp_path: Path) -> None:
    """The first holder removes the lock's file as it leaves: one more claim must not get in beside the second."""
    store = DiskStore(tmp_path)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert (tmp_path / "counter").read_text() == "60"
    with store.claimed(key(1)) as folder:
        assert folder.is_dir()


def _count(root: Path) -> None:
    counter = root / "counter"
    store = DiskStore(root)
    for _ in range(20):
        with store.claimed(key(1)) as folder:
            number = int(counter.read_text()) if counter.exists() else 0
            time.sleep(0.002)
            counter.write_text(str(number + 1))
            folder.rmdir()


def _write_slowly(root: Path, pipe: Path) -> None:
    DiskStore(root).write(pipe)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_half_written_blobs_go_once_their_writer_is_dead(tmp_path: Path) -> None:
    store, pipe = DiskStore(tmp_path / "store"), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = multiprocessing.get_context("spawn").Process(target=_write_slowly, args=(store.root, pipe))
    writer.start()
    with pipe.open("wb"):  # returns once the writer reads
        temporary = store.root / "tmp"
        store.sweep([])
        assert len(list(temporary.iterdir())) == 1
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    store.sweep([])
    assert list(temporary.iterdir()) == []
