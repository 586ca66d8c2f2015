"""A Dask scheduler in a process of its own, and what tests ask of workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client

from builder.printed import printable
from tests.registries import free_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "cluster"
TINSMITH = [sys.executable, "-c", "from builder.cli import main; main()"]
PATIENCE = 40.0


def environment(**more: str) -> dict[str, str]:
    """This one's, with tinsmith importable, and no setting of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TINSMITH_", "DASK_"))}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "TINSMITH_SETTINGS": "", **more}


class Scheduler:
    """``dask scheduler`` on a port of this machine that stays the same when it is started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(
            [*command, "--no-dashboard"], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def scheduler() -> Iterator[Scheduler]:
    made = Scheduler()
    try:
        yield made
    finally:
        made.kill()


@contextmanager
def worker(folder: Path, address: str, *words: str, name: str = "a", **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """``tinsmith worker`` with a store in ``folder``; what it says is in ``folder/NAME.log``."""
    command = [*TINSMITH, "worker", "--scheduler", address, "--store", f"file://{folder / 'store'}", "--name", name]
    environ = environment(TINSMITH_CACHE=str(folder / f"cache-{name}"), **env)
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--engine", "local", *words], env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def said(folder: Path, name: str = "a") -> str:
    return printable((folder / f"{name}.log").read_text())


def until(true: Callable[[], Any], what: str) -> Any:
    """The first true value of ``true``, which is asked until PATIENCE seconds are over."""
    latest = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < latest, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.1)
    return found


def offers(client: Client) -> dict[str, dict[str, float]]:
    """What each worker offers, by its name."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {str(item["name"]): item["resources"] for item in workers}


def introduce() -> dict[str, Any]:
    """A job that says where it runs."""
    from builder.cluster import context

    here = context.current()
    digest = here.store.write_bytes(here.name.encode())
    return {"name": here.name, "engine": here.engine().name, "pid": os.getpid(), "read": here.store.read(digest)}
