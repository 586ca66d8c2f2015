"""What a push has built, and what it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.changes import git
from builder.configuration import CHOSEN, configurations
from builder.errors import UsageError
from builder.hook import queue
from builder.hook.files import check_out
from builder.hook.pushed import Update, to_build, updates
from tests.hook.server import LONGER, Server
from tests.repositories import ZERO, environment


def test_a_first_push_builds_all_and_a_comment_nothing(server: Server) -> None:
    said = server.push()
    assert "remote: tinsmith: job 1, main: " in said
    assert "remote: tinsmith: manifests/two.yaml  ingest train" in said
    assert f"remote: tinsmith: log: {server.place.log(1)}" in said
    (job,) = server.work()
    assert (job.state, job.old) == ("done", None)
    assert server.built() == ["build one.yaml", "push one@1.0.0", "build two.yaml", "push two@1.0.0"]
    text = (server.clone.folder / "manifests/one.yaml").read_text()
    server.clone.write("manifests/one.yaml", f"# a comment\n{text}")
    server.clone.commit()
    assert "job 2, main: nothing to build, no plan changed" in server.push()
    _, job = server.work()
    assert (job.state, job.said, server.built()) == ("done", ("nothing to build: no plan changed",), [])
    server.clone.manifest("one", LONGER)
    server.clone.commit()
    server.push()
    assert server.work()[-1].said == ("manifests/one.yaml: one@1.0.0 pushed to registry.example.org/models",)
    assert server.built() == ["build one.yaml", "push one@1.0.0"]


def test_what_builds_and_pushes_are_called_with(server: Server, tmp_path: Path) -> None:
    key = tmp_path / "team.key"
    key.write_text("secret")
    toml = tmp_path / "server.toml"
    toml.write_text("")
    for name in ("store", "layout"):
        (tmp_path / name).mkdir()
    server.install("--push", "localhost:5000/m", "--key", str(key), "--settings", str(toml),
                   "--store", str(tmp_path / "store"), "--releases", str(tmp_path / "layout"))  # fmt: skip
    server.clone.git("rm", "--quiet", "manifests/two.yaml")
    server.clone.commit()
    server.bare.git("config", "tinsmith.engine", "docker")
    work_on = Update("refs/heads/main", None, server.clone.git("rev-parse", "HEAD"))
    server.clone.git("push", "--quiet", "origin", "main:elsewhere")
    queue.add(server.place, work_on)
    server.work()
    build, push = server.calls
    out = str(server.place.work / "1" / "out")
    assert build == ["build", "tree/manifests/one.yaml", "--json", "--store", str(tmp_path / "store"), "--releases",
                     str(tmp_path / "layout"), "--out", out, "--engine", "docker", "--progress", "plain",
                     "--key", str(key)]  # fmt: skip
    assert push == ["push", "one@1.0.0", "localhost:5000/m/one", "--releases", str(tmp_path / "layout"),
                    "--progress", "plain", "--key", str(key)]  # fmt: skip
    assert server.environ[CHOSEN] == str(toml)
    assert not {name for name in server.environ if name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_QUARANTINE_PATH")}


def test_a_pushed_settings_file_decides_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.clone.write("tinsmith.toml", '[sign]\nkey = "/home/git/.ssh/id_ed25519"\n')
    server.clone.write("builder/cli.py", "raise SystemExit('the pushed builder was run')\n")
    server.clone.commit()
    server.push()
    server.work()
    assert server.environ[CHOSEN] == ""
    # A build in the checked out commit, as the hook runs it, with the program itself.
    commit = server.clone.git("rev-parse", "HEAD")
    check_out(git.at(server.bare.folder), commit, tmp_path / "tree")
    command = [sys.executable, "-P", "-c", "import builder.configuration as c; print(c.configurations())"]
    environ = {**environment(HOME=str(tmp_path)), CHOSEN: ""}
    done = subprocess.run(command, cwd=tmp_path / "tree", env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "()\n"), done.stderr
    monkeypatch.chdir(tmp_path / "tree")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.delenv(CHOSEN, raising=False)
    assert len(configurations()) == 1
    monkeypatch.setenv(CHOSEN, str(tmp_path / "absent.toml"))
    with pytest.raises(UsageError, match="no file"):
        configurations()


def test_deletions_tags_and_other_branches_are_ignored(server: Server) -> None:
    assert "tinsmith" not in server.push("origin", "main:topic", "main:refs/heads/x/main", "main:refs/tags/main")
    server.clone.git("tag", "v1")
    assert "tinsmith" not in server.push("origin", "--tags")
    assert server.work() == []
    server.push()
    assert "tinsmith" not in server.push("origin", ":refs/heads/main")
    assert len(server.work()) == 1


def test_several_branches_in_one_push(server: Server) -> None:
    server.install("--branch", "main", "--branch", "next/é")
    server.clone.git("branch", "next/é")
    server.clone.manifest("three")
    server.clone.commit()
    said = server.push("origin", "main", "next/é", "main:other")
    assert "job 1" in said
    assert "job 2" in said
    assert {(job.ref, job.state) for job in server.work()} == {
        ("refs/heads/main", "done"), ("refs/heads/next/é", "done"),
    }  # fmt: skip


def test_force_pushes_to_another_history_and_from_one_that_is_gone(server: Server) -> None:
    server.push()
    server.work()
    server.built()
    server.clone.manifest("one", LONGER)
    server.clone.git("add", "--all")
    server.clone.git("commit", "--quiet", "--amend", "--message", "another history")
    server.push("--force", "origin", "main")
    assert server.work()[-1].state == "done"
    assert server.built() == ["build one.yaml", "push one@1.0.0"]
    # By the time the job is done, what was there before has been thrown away.
    server.clone.manifest("two", LONGER)
    server.clone.git("add", "--all")
    server.clone.git("commit", "--quiet", "--amend", "--message", "a third one")
    old = server.bare.git("rev-parse", "main")
    server.push("--force", "origin", "main")
    server.bare.git("reflog", "expire", "--expire=now", "--all")
    server.bare.git("gc", "--quiet", "--prune=now")
    server.bare.git("cat-file", "-e", old, status=1)
    assert server.work()[-1].state == "done"
    assert server.built() == ["build one.yaml", "push one@1.0.0", "build two.yaml", "push two@1.0.0"]


def test_a_push_is_not_held_up_by_the_worker_it_starts(tmp_path: Path) -> None:
    """The real hook, whose worker finds nothing to build it with."""
    server = Server(tmp_path, "--engine", "local")
    server.begin_with(
        "import time\n"
        "import builder.hook.job as job\n"
        "def run(command, *_):\n    time.sleep(60)\n    return 4\n"
        "job.perform.__defaults__ = (run,)\n"
    )
    server.clone.manifest("one")
    server.clone.commit()
    begun = time.monotonic()
    server.push()
    deadline = begun + 60
    while (job := queue.running(server.place)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert job is not None, (server.place.folder / "worker.log").read_text()
    pids = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")
            if _words(path)[-3:] == ["hook", "work", str(server.bare.folder)]]  # fmt: skip
    (pid,) = (pid for pid in pids if os.getsid(pid) == pid)  # in a session of its own; the others are its processes
    os.kill(pid, signal.SIGTERM)
    while queue.running(server.place) and time.monotonic() < deadline:
        time.sleep(0.05)
    (job,) = queue.jobs(server.place)
    assert (job.state, job.attempts) == ("waiting", 0)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split("\0")[:-1]
    except OSError:
        return []


def test_lines_of_the_hook() -> None:
    one, two = "1" * 40, "2" * 40
    lines = [f"{ZERO} {one} refs/heads/main\n", f"{one} {two} refs/heads/main\n", f"{two} {ZERO} refs/heads/main\n",
             f"{one} {two} refs/tags/main\n", f"{one} {two} refs/heads/mainly\n", f"{one} {two} refs/heads/x/main\n",
             f"{'3' * 64} {'4' * 64} refs/heads/é\n"]  # fmt: skip
    found = updates(lines)
    assert [(item.old, item.new) for item in found[:3]] == [(None, one), (one, two), (two, None)]
    assert to_build(found, ["main", "é"]) == [*found[:2], found[-1]]
    assert to_build(found, []) == []
    for bad in ("", "x y z", f"{one} {two}", f"{one} {two} refs/heads/a b", f"-- {two} refs/heads/main"):
        with pytest.raises(ValueError):
            updates([bad])
