"""A training that is stopped, in whatever way, ends in the same bits as one that is not.

The full figures are those of ``python -m tests.stress.kills``.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from builder.digest import digest_file
from builder.settings import cache_folder, threads
from tests.integration.conftest import TINSMITH, environment, outputs, project, runner
from tests.integration.training_step import TrainingStep

pytestmark = pytest.mark.toolchain
MANIFEST = "manifests/tiny.yaml"
STEPS, EVERY = 12, 3


@pytest.fixture
def training(built: Path, tmp_path: Path) -> TrainingStep:
    return TrainingStep(built, MANIFEST, tmp_path)


def before(step: int) -> int:
    """The step of the last checkpoint that is written by when ``step`` has just been done."""
    return (step - 1) // EVERY * EVERY


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)


def test_stopped_on_other_threads_and_with_a_damaged_checkpoint_it_ends_in_the_same_bits(
    training: TrainingStep,
) -> None:
    """At random steps, once in order and once by a kill. ``built`` ran on as many threads as there are processors."""
    other = 2 if threads() == 1 else 1
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    first, second = chance.randint(EVERY + 1, 2 * EVERY), chance.randint(2 * EVERY + 1, STEPS)
    damage = chance.choice([truncate, flip])
    where = f"seed {seed}: stopped at {first} and {second}, {damage.__name__}"

    ended = training.run("out", stop=first, by=signal.SIGTERM, threads=other)
    assert ended.status == 130, where
    ended = training.run("out", stop=second, by=signal.SIGKILL, threads=other)
    assert ended.status == -signal.SIGKILL, where
    assert f"going on from step {before(first)}" in ended.texts, where
    older, newest = training.checkpoints("out")
    assert newest.name == f"step-{before(second):08}.checkpoint", where
    damage(newest)
    ended = training.run("out", threads=other)
    assert ended.status == 0, where
    assert any(newest.name in text and "damaged" in text for text in ended.texts), where
    assert f"going on from step {int(older.name[5:13])}" in ended.texts, where
    assert training.files("out") == training.uninterrupted, where
    # One file of curves, however often it was stopped.
    assert len(list((training.checkpoints("out")[0].parent / "events").iterdir())) == 1


def test_with_the_store_alone_a_stopped_build_goes_on_elsewhere(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the machine where it was stopped only the store is left; there it ran on one thread, here on two."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        project(folder)
    monkeypatch.setenv("TINSMITH_THREADS", "1")
    for kill in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        stop_in_training(first, kill)
        assert left_running(first) == []
    # As a build service keeps it between two jobs.
    subprocess.run(["tar", "-C", first / ".tinsmith", "-cf", tmp_path / "store.tar", "store"], check=True)
    shutil.rmtree(first)
    subprocess.run(["tar", "-C", tmp_path, "-xf", tmp_path / "store.tar"], check=True)

    monkeypatch.setenv("TINSMITH_THREADS", "2")
    # A cache of nothing but the toolchains, which a new machine would install again.
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "toolchains").symlink_to(cache_folder() / "toolchains")
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TINSMITH_STORE", str(tmp_path / "store"))
    run = runner(second)
    assert "goes on from its last checkpoint" in run("plan", MANIFEST).stdout
    done = run("build", MANIFEST, "--engine", "local")
    assert "going on from step" in done.stderr
    assert outputs(second, "train", tmp_path / "store") == outputs(built, "train")
    model = "build/tiny-1.0.0/model.tflite"
    assert digest_file(second / model) == digest_file(built / model)
    assert list((tmp_path / "store" / "work").iterdir()) == []


def stop_in_training(folder: Path, kill: signal.Signals) -> None:
    """Starts a build and stops it once its training has a checkpoint, be it of a build before."""
    checkpoints = ".tinsmith/store/work/*/out/checkpoints/*.checkpoint"
    with subprocess.Popen(
        [*TINSMITH, "build", MANIFEST, "--engine", "local", "--progress", "json"],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as build:
        assert build.stderr is not None
        for line in build.stderr:
            event = json.loads(line)
            runs = event["detail"].get("stage") == "training" or "going on" in event["detail"].get("text", "")
            if event["step"] == "train" and runs and any(folder.glob(checkpoints)):
                break
        assert build.poll() is None
        os.kill(build.pid, kill)
        build.stderr.read()
    assert build.returncode == (-signal.SIGKILL if kill == signal.SIGKILL else 130)


def left_running(folder: Path) -> list[str]:
    """Command lines of processes that still work below ``folder``, after ten seconds at the most."""
    found: list[str] = []
    for _ in range(50):
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in words:
                found.append(words)
        if not found:
            break
        time.sleep(0.2)
    return found
