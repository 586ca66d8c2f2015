"""A build that is interrupted, or killed outright, leaves no process and no container."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.engine import events
from builder.engine.docker import DockerEngine
from builder.engine.events import STOPPING
from builder.engine.isolation import strongest
from builder.engine.leftovers import RUN_LABEL
from builder.errors import Interrupted
from builder.plan.step import Toolchain
from tests.engine.conftest import NONCE, Bench, lay_out
from tests.fakes import Events

ROOT = Path(__file__).resolve().parents[2]


class Build:
    """A process that runs the step ``slow``, and is now in the midst of it."""

    def __init__(self, engine: str, cache: Path, root: Path) -> None:
        lay_out(root)
        self.engine, self.root, self.nonce = engine, root, secrets.token_hex(16)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.run_slow", engine, str(cache), str(root), self.nonce],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert any(line == "waiting\n" for line in self.process.stdout), "the step did not start"

    def end_by(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            self.said = stream.read()
        return code


def processes(nonce: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if nonce.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def comes_true(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def containers(engine: DockerEngine) -> list[str]:
    found = engine.client.containers.list(all=True, filters={"label": RUN_LABEL})
    return [str(container.name) for container in found]


def container_of(build: Build) -> str:
    return f"tinsmith-slow-{build.nonce[:16]}"


def test_an_interrupted_build_leaves_nothing_but_its_checkpoints(bench: Bench, cache: Path, tmp_path: Path) -> None:
    build = Build(bench.engine.name, cache, tmp_path / "build")
    assert processes(build.nonce)

    assert build.end_by(signal.SIGINT) == 130
    assert STOPPING in build.said

    assert comes_true(lambda: not processes(build.nonce))
    assert (build.root / "out" / "checkpoints" / "saved").is_file()
    assert (build.root / "out" / "checkpoints" / "saved").stat().st_uid == tmp_path.stat().st_uid
    assert not (build.root / "out" / "result.json").exists()
    if isinstance(bench.engine, DockerEngine):
        assert container_of(build) not in containers(bench.engine)


class Unwanted(Events):
    """Says from when the step waits on that it is to end; but the step says nothing any more."""

    def __call__(self, kind: str, detail: Mapping[str, Any]) -> None:
        if {"text": "waiting"} in self.of("message"):
            raise Interrupted("nobody waits for this step any more")
        super().__call__(kind, detail)


def test_a_step_that_says_nothing_is_ended_when_nobody_waits_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "USAGE_SECONDS", 0.5)
    bench.events = Unwanted()
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        bench.run("slow")
    assert time.monotonic() - begun < 60  # of 300
    assert comes_true(lambda: not processes(NONCE))
    assert (bench.root / "out" / "checkpoints" / "saved").is_file()


@pytest.mark.skipif(not strongest().processes, reason="no namespaces for the local engine here")
def test_a_killed_build_takes_its_local_step_with_it(cache: Path, tmp_path: Path) -> None:
    build = Build("local", cache, tmp_path / "build")
    # Of a process that has just begun the kernel may not yet know the words.
    assert comes_true(lambda: len(processes(build.nonce)) >= 2)

    build.end_by(signal.SIGKILL)

    assert comes_true(lambda: not processes(build.nonce))


@pytest.mark.docker
def test_the_container_of_a_killed_build_is_removed_by_the_next_one(
    docker: tuple[DockerEngine, Toolchain], cache: Path, tmp_path: Path
) -> None:
    engine, toolchain = docker
    killed = Build("docker", cache, tmp_path / "killed")
    alive = Build("docker", cache, tmp_path / "alive")
    killed.end_by(signal.SIGKILL)
    assert container_of(killed) in containers(engine)

    engine.prepare(toolchain, Events())

    left = containers(engine)
    assert container_of(killed) not in left
    assert container_of(alive) in left
    alive.end_by(signal.SIGINT)
    assert comes_true(lambda: not processes(killed.nonce) + processes(alive.nonce))
