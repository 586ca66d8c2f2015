"""The ways up on Slurm that ``docs/cluster.md`` names, on a real Slurm of one node."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from tests.registries import free_port
from tests.workers import slurm
from tests.workers.running import (
    EXAMPLES,
    ROOT,
    TINSMITH,
    Scheduler,
    environment,
    introduce,
    offers,
    scheduler,
    until,
)


@pytest.fixture(scope="module")
def queue() -> Iterator[slurm.Slurm]:
    slurm.required()
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm.running(Path(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def head() -> Iterator[Scheduler]:
    slurm.required()
    with scheduler() as made:
        yield made


def variables(queue: slurm.Slurm, folder: Path, head: Scheduler | None = None) -> dict[str, str]:
    """Those of a user who submits: a ``tinsmith`` on PATH, the store, the scheduler."""
    program = folder / "bin" / "tinsmith"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(TINSMITH)} "$@"\n')
    program.chmod(0o755)
    return {
        **environment(
            TINSMITH_STORE=f"file://{folder / 'store'}",
            TINSMITH_CACHE=str(folder / "cache"),
            TINSMITH_ENGINE="local",
            **({"TINSMITH_SCHEDULER": head.address} if head else {}),
        ),
        **{name: value for name, value in queue.environ.items() if name.startswith("SLURM_")},
        "PATH": f"{program.parent}:{queue.environ['PATH']}",
    }


def names_of(client: Client, count: int) -> set[str]:
    return set(until(lambda: len(found := offers(client)) == count and found, f"{count} workers"))


def test_a_batch_script_starts_workers_and_a_cancelled_job_ends_one_in_order(
    queue: slurm.Slurm, head: Scheduler, tmp_path: Path
) -> None:
    env = variables(queue, tmp_path, head)
    words = [
        "sbatch",
        "--parsable",
        "--array=1-2",
        "--cpus-per-task=1",
        "--mem=3000M",
        f"--output={tmp_path}/%A-%a.txt",
    ]
    number = queue.said(*words, str(EXAMPLES / "worker.sbatch"), env=env)
    with Client(head.address, timeout=30) as client:
        first, second = sorted(names_of(client, 2))
        assert (first, second) == (f"slurm-{number}-1", f"slurm-{number}-2")
        # What Slurm gave the job, less what is kept for the worker itself.
        assert offers(client)[first]["memory"] == 3000 - 512
        for name in (first, second):
            address = next(
                a for a, item in client.scheduler_info(n_workers=-1)["workers"].items() if item["name"] == name
            )
            told = client.submit(introduce, resources={"slots": 1}, workers=[address], pure=False).result(timeout=20)
            assert (told["name"], told["engine"], told["read"]) == (name, "local", name.encode())
        queue.said("scancel", "--full", f"{number}_1")
        until(lambda: set(offers(client)) == {second}, "the cancelled worker gone")
        queue.said("scancel", "--full", number)
        until(lambda: not offers(client), "the other one gone")
    for task in (1, 2):
        log = tmp_path / f"{number}-{task}.txt"
        until(lambda log=log: ": stopped" in log.read_text(), "the end of the log")  # type: ignore[misc]
        assert "Traceback" not in log.read_text()


def test_the_command_of_the_page_starts_a_worker(queue: slurm.Slurm, head: Scheduler, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "cluster.md").read_text()
    (command,) = re.findall(r"^sbatch .*--wrap .*$", page, re.MULTILINE)
    env = variables(queue, tmp_path, head)
    done = subprocess.run(command, shell=True, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    number = done.stdout.split()[-1]
    with Client(head.address, timeout=30) as client:
        names_of(client, 1)
        told = client.submit(introduce, resources={"slots": 1}, pure=False).result(timeout=20)
        assert told["read"] == told["name"].encode()
        queue.said("scancel", "--full", number)
        until(lambda: not offers(client), "the worker gone")


def test_dask_jobqueue_starts_workers_and_ends_them(queue: slurm.Slurm, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, str(EXAMPLES / "slurm_cluster.py"), "--workers=2", "--cpus=1", "--memory=2 GiB"]
    process = subprocess.Popen(
        [*command, "--interface=lo", f"--port={port}"],
        env=variables(queue, tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == f"tinsmith build MANIFEST --engine dask --scheduler tcp://127.0.0.1:{port}\n"
        with Client(line.split()[-1], timeout=30) as client:
            names_of(client, 2)
            assert {offer["memory"] for offer in offers(client).values()} == {2048 - 512}
            told = client.submit(introduce, resources={"slots": 1}, pure=False).result(timeout=20)
            assert told["read"] == told["name"].encode()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        until(lambda: not queue.said("squeue", "-h"), "the jobs gone")
    finally:
        process.kill()
        process.wait()
        process.stdout and process.stdout.close()
