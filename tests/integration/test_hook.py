"""From a push to a pull: the commands of docs/git-server.md, with git, a registry, a key and a real training.

The worker and all that it started are killed once in the midst of the training, as a power cut does.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.hook import queue
from builder.hook.place import Place
from tests.integration.conftest import ROOT, TINSMITH
from tests.registries import Running, required, running
from tests.repositories import Repository, environment

PAGE = (ROOT / "docs" / "git-server.md").read_text(encoding="utf-8")
DEADLINE = 40 * 60
"""Seconds. Alone on two cores the build takes two minutes; beside other tests several times that."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    required("docker-registry")
    (tmp_path / "registry").mkdir()
    with running(tmp_path / "registry") as found:
        yield found


class World:
    """A server's folder with a repository, a clone of it, and a user, each with settings of their own."""

    def __init__(self, root: Path, registry: Running) -> None:
        self.root, self.registry = root, registry
        self.bare = Repository(root / "models.git", bare=True)
        self.work = Repository(root / "work")
        self.work.git("remote", "add", "origin", str(self.bare.folder))
        self.place = Place(self.bare.folder)
        self.deadline = time.monotonic() + DEADLINE

    def sh(self, script: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A block of the page, with the registry on this machine in place of its one."""
        words = " ".join(f"'{word}'" for word in TINSMITH)
        script = script.replace("registry.example.org", self.registry.host)
        return subprocess.run(
            ["bash", "-euc", f'tinsmith() {{ {words} "$@"; }}\n{script}'],
            cwd=folder or self.root,
            env=environment(
                XDG_CONFIG_HOME=str(self.root / "config"),
                DOCKER_CONFIG=str(self.root / "docker"),
                TINSMITH_STATE=str(self.root / "state"),
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def ok(self, script: str, folder: Path | None = None) -> str:
        done = self.sh(script, folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def wait(self, what: str, found: Callable[[], Any]) -> Any:
        while not (answer := found()):
            assert time.monotonic() < self.deadline, f"{what}\n{self.logs()}"
            time.sleep(0.5)
        return answer

    def logs(self) -> str:
        files = [*self.place.logs.glob("*"), self.place.folder / "worker.log"]
        return "\n".join(path.read_text(encoding="utf-8", errors="replace")[-3000:] for path in files if path.exists())

    def tags(self) -> str:
        with urllib.request.urlopen(f"http://{self.registry.host}/v2/models/shapes/tags/list") as answer:
            return str(answer.read().decode())


@pytest.fixture
def world(tmp_path: Path, server: Running) -> World:
    return World(tmp_path, server)


def children(pid: int) -> list[int]:
    """All that descends from a process, and itself."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = path.read_text().split()
        except OSError:
            continue
        for child in pids:
            found += children(int(child))
    return found


def worker_of(place: Place) -> int:
    """The process that the hook left behind, by the folder in its last argument."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")[:-1]
        except OSError:
            continue
        pid = int(path.parent.name)
        if words[-3:] == [b"hook", b"work", os.fsencode(place.git_dir)] and os.getsid(pid) == pid:
            return pid
    raise AssertionError("there is no worker")


@pytest.mark.toolchain
def test_a_pushed_manifest_can_be_pulled_and_a_comment_builds_nothing(world: World) -> None:
    install, push, status, pull = blocks("sh")
    shapes = ROOT / "manifests" / "shapes.yaml"
    world.work.manifest("shapes", ("steps: 800", "steps: 700"))
    world.work.commit("as it was")
    world.work.git("push", "--quiet", "origin", "main")
    assert "pushes to" in world.ok(install)
    for path in (shapes, shapes.with_suffix(".lock")):
        world.work.write(f"manifests/{path.name}", path.read_bytes())
    begun = time.monotonic()
    said = world.ok(push)
    assert "remote: tinsmith: manifests/shapes.yaml  train export" in said
    # The push is over while the data are not even drawn.
    assert len(queue.waiting(world.place)) == 1
    pushed_in = time.monotonic() - begun

    checkpoints = world.place.store / "work"
    world.wait("no checkpoint", lambda: list(checkpoints.glob("*/out/checkpoints/*.checkpoint")))
    for pid in children(worker_of(world.place)):
        os.kill(pid, signal.SIGKILL)
    world.wait("the worker lives", lambda: queue.running(world.place) is None)
    (waiting,) = queue.waiting(world.place)
    assert "waiting" in world.ok(status)
    again = subprocess.Popen(
        [*TINSMITH, "hook", "work", str(world.bare.folder)],
        env=environment(DOCKER_CONFIG=str(world.root / "docker"), TINSMITH_STATE=str(world.root / "state")),
        stderr=subprocess.DEVNULL,
    )

    user = world.root / "user"
    user.mkdir()
    (rule,) = blocks("toml")
    (user / "tinsmith.toml").write_text(rule.replace("registry.example.org", world.registry.host))
    (user / "team.pub").write_bytes((world.root / "keys" / "team.pub").read_bytes())

    def pulled() -> bool:
        assert again.poll() in (None, 0)
        return world.sh(pull, user).returncode == 0

    world.wait("nothing can be pulled", pulled)
    assert (user / "app" / "models" / "model.tflite").read_bytes()[4:8] == b"TFL3"
    assert again.wait(60) == 0
    log = world.place.log(waiting.number).read_text()
    assert re.search(r"going on from step (250|500|750)", log), log
    assert "done" in world.ok(status)
    tags, files = world.tags(), world.registry.files()
    assert '"1.0.0"' in tags

    manifest = world.work.folder / "manifests" / "shapes.yaml"
    manifest.write_text(f"# A comment, and the same plan.\n{manifest.read_text()}")
    assert "nothing to build, no plan changed" in world.ok(push)
    world.wait("the second job is not done", lambda: not queue.waiting(world.place))
    first, second = queue.jobs(world.place)
    assert (first.state, first.attempts, second.state) == ("done", 2, "done")
    assert second.said == ("nothing to build: no plan changed",)
    assert (world.tags(), world.registry.files()) == (tags, files)
    print(f"the push took {pushed_in:.1f} s, from push to pull {time.monotonic() - begun:.0f} s")
