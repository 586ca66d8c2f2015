"""Builds on push, with real git and, in place of builds and pushes, a function that notes what it was called with."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.changes import git
from builder.cli.app import app
from builder.configuration import CHOSEN, configurations
from builder.errors import UsageError
from builder.hook import queue
from builder.hook.files import check_out, checked
from builder.hook.install import hook_path, install, place_of
from builder.hook.job import Outcome, perform, reads_outside
from builder.hook.place import Place
from builder.hook.pushed import Update, to_build, updates
from builder.hook.settings import Settings, read
from builder.hook.worker import work
from tests.repositories import ROOT, ZERO, Repository, environment

LONGER = ("steps: 800", "steps: 900")


class Server:
    """A bare repository with the hook, and a clone to push from. The hook starts no worker: tests do the work."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.bare = Repository(folder / "models.git", bare=True)
        self.clone = Repository(folder / "clone")
        self.clone.git("remote", "add", "origin", str(self.bare.folder))
        self.bare.git("config", "receive.denyDeleteCurrent", "ignore")
        self.place = Place(self.bare.folder)
        self.install(*words)
        self.calls: list[list[str]] = []
        self.trees: list[dict[str, str]] = []
        self.environ: dict[str, str] = {}
        self.status: dict[str, int] = {}

    def install(self, *words: str) -> None:
        app(["hook", "install", str(self.bare.folder), *words], standalone_mode=False)
        self.begin_with("import builder.hook.programs\nbuilder.hook.programs.start_worker = lambda *_: None\n")

    def begin_with(self, code: str) -> None:
        """The hook, and the worker that it starts, run ``code`` first."""
        folder = self.bare.folder.parent / "customized"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(code)
        lines = hook_path(self.place).read_text().splitlines()
        script = [*lines[:2], f"export PYTHONPATH={folder}:{ROOT}", lines[-1]]
        hook_path(self.place).write_text("\n".join(script) + "\n")

    def push(self, *words: str) -> str:
        return self.clone.git("push", *(words or ("origin", "main")))

    def run(self, command: list[str], environ: dict[str, str], folder: Path, out: Path, log: Path) -> int:
        """In place of ``programs.run``."""
        assert command[:4] == [sys.executable, "-P", "-c", "from builder.cli import main; main()"]
        verb, what, *_ = words = command[4:]
        self.calls.append(words)
        self.environ = environ
        if verb == "build":
            tree = folder / "tree"
            files = [path for path in tree.rglob("*") if path.is_file()]
            self.trees.append({str(path.relative_to(tree)): path.read_text("latin-1") for path in files})
            name = next(line[6:] for line in (folder / what).read_text().splitlines() if line.startswith("name: "))
            out.write_text(json.dumps([{"release": f"{name}@1.0.0", "released": True}]))
            what = name
        return self.status.get(f"{verb} {what}", 0)

    def work(self) -> list[queue.Job]:
        """The jobs, done."""
        assert work(self.place, lambda place, settings, job: perform(place, settings, job, self.run))
        assert list(self.place.work.iterdir()) == []
        return queue.jobs(self.place)

    def built(self) -> list[str]:
        """The manifests that were built since this was asked, and the releases that were pushed."""
        found = [f"{words[0]} {words[1].removeprefix('tree/manifests/')}" for words in self.calls]
        self.calls.clear()
        return found


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path, "--push", "registry.example.org/models", "--engine", "local")
    made.clone.manifest("one")
    made.clone.manifest("two")
    made.clone.commit("first")
    return made


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


def test_hostile_names_of_files_and_branches(server: Server) -> None:
    odd = "manifests/$(touch pwned) ;\x1b[31m\n--help.yaml"
    server.clone.manifest("odd", path=odd)
    server.clone.manifest("dash", path="manifests/--output=x.yaml")
    (server.clone.folder / "link").symlink_to("/etc/passwd")
    (server.clone.folder / "manifests/linked.yaml").symlink_to("/etc/passwd")
    server.clone.write(".gitattributes", "*.yaml export-ignore filter=x\nwords export-subst\n")
    server.clone.write("words", "$Format:%H$")
    server.clone.commit()
    branch = "$(touch;`pwned`"
    server.install("--branch", branch, "--branch", "main", "--manifests", "manifests")
    server.clone.git("branch", branch)
    said = server.push("origin", "main", branch)
    assert "\x1b" not in said.replace("\x1b[K", "")
    done = server.work()
    assert [job.state for job in done] == ["done", "done"]
    assert f"build {odd.removeprefix('manifests/')}" in server.built()
    tree = server.trees[0]
    assert tree["words"] == "$Format:%H$"
    assert "link" not in tree
    assert "manifests/linked.yaml" not in tree
    log = server.place.log(1).read_text()
    assert "\x1b" not in log
    assert "left out: 2 links and submodules" in log
    assert not list(server.bare.folder.rglob("pwned"))


@pytest.mark.parametrize("path", ["../x", "/x", "a/../x", ".git/config", "a//b", "", "a/.git/hooks/x", "./x"])
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(UsageError):
        checked(path)
    assert checked("a/..b/.gitx") == "a/..b/.gitx"


def test_a_tree_that_leads_elsewhere_fails_its_job(server: Server) -> None:
    """git makes no such tree, but takes one that is pushed unless it is told to check."""
    (server.clone.folder / "evil").write_text("x")
    blob = server.clone.git("hash-object", "-w", "evil")
    good = server.clone.git("rev-parse", "main^{tree}")
    manifests = server.clone.git("rev-parse", "main:manifests")
    entries = b"40000 manifests\0" + bytes.fromhex(manifests)
    inner = b"100644 evil\0" + bytes.fromhex(blob)
    up = server.clone.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=inner)
    data = b"40000 ..\0" + bytes.fromhex(up) + entries
    tree = server.clone.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=data)
    assert tree != good
    commit = server.clone.git("commit-tree", tree, "-m", "evil")
    server.clone.git("push", "--quiet", "origin", f"{commit}:refs/heads/main")
    (job,) = server.work()
    assert job.state == "failed"
    assert "which is nowhere" in job.said[0]
    assert server.built() == []


def test_a_failed_job_stays_with_its_log_and_does_not_stop_later_ones(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status["build one"] = 5
    server.status["push two@1.0.0"] = 8
    server.push()
    server.clone.manifest("three")
    server.clone.write("manifests/bad.yaml", "schema: 1\nmodel: {depth: 3}\n")
    server.clone.commit()
    assert "manifests/bad.yaml is invalid" in server.push()
    server.clone.git("rm", "--quiet", "manifests/bad.yaml")
    server.clone.commit()
    server.push()
    assert [job.state for job in server.work()] == ["failed", "failed", "done"]
    first, second, _ = queue.jobs(server.place)
    assert first.said == (
        "manifests/one.yaml: tinsmith build ended with status 5",
        "manifests/two.yaml: two@1.0.0 was released, tinsmith push ended with status 8",
    )
    assert second.said == (
        "manifests/bad.yaml: invalid", "manifests/three.yaml: three@1.0.0 pushed to registry.example.org/models",
    )  # fmt: skip
    assert "manifests/bad.yaml:2:9: error" in server.place.log(2).read_text()
    capsys.readouterr()
    app(["hook", "status", str(server.bare.folder)], standalone_mode=False)
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["1", "failed", "main", f"nothing..{first.new[:8]}", str(server.place.log(1))]
    monkeypatch.setattr("builder.hook.programs.start_worker", lambda *_: None)
    server.status.clear()
    server.built()
    app(["hook", "retry", str(server.bare.folder), "1"], standalone_mode=False)
    assert server.work()[-1].state == "done"
    assert server.built() == ["build one.yaml", "push one@1.0.0", "build two.yaml", "push two@1.0.0"]
    with pytest.raises(UsageError):
        app(["hook", "retry", str(server.bare.folder), "3"], standalone_mode=False)


WORKER = """
import sys, time
from pathlib import Path
from builder.hook.job import Outcome
from builder.hook.place import Place
from builder.hook.worker import work
def slow(place, settings, job):
    (place.work / "begun").write_text(str(job.attempts))
    print("begun", flush=True)
    time.sleep(600)
print(work(Place(Path(sys.argv[1])), slow))
"""


def worker(server: Server) -> subprocess.Popen[str]:
    """A worker at its first job, for ten minutes."""
    found = subprocess.Popen(
        [sys.executable, "-c", f"import signal; signal.signal(signal.SIGTERM, signal.default_int_handler)\n{WORKER}",
         str(server.bare.folder)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert found.stdout is not None
    assert found.stdout.readline() == "begun\n"
    return found


def states(server: Server, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    app(["hook", "status", str(server.bare.folder), "--json"], standalone_mode=False)
    return [job["state"] for job in json.loads(capsys.readouterr().out)["jobs"]]


def test_a_killed_worker_leaves_its_job_to_the_next(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.push()
    server.push("origin", ":refs/heads/main")
    server.push()
    assert states(server, capsys) == ["waiting", "waiting"]
    first = worker(server)
    assert states(server, capsys) == ["running", "waiting"]
    assert not work(server.place, lambda *_: Outcome(True, ("two at once",)))
    first.kill()
    first.communicate()
    assert states(server, capsys) == ["waiting", "waiting"]
    capsys.readouterr()
    app(["hook", "status", str(server.bare.folder)], standalone_mode=False)
    assert "no worker is at them: tinsmith hook work" in capsys.readouterr().out
    one, two = server.work()
    assert (one.state, one.attempts, two.state, two.attempts) == ("done", 2, "done", 1)


def test_a_job_that_takes_its_worker_down_every_time_is_given_up(server: Server) -> None:
    server.push()
    for _ in range(queue.MOST_ATTEMPTS):
        killed = worker(server)
        killed.kill()
        killed.communicate()
    (job,) = server.work()
    assert job.state == "failed"
    assert server.built() == []


def test_a_worker_that_is_told_to_stop_leaves_the_job_as_it_was(server: Server) -> None:
    server.push()
    for _ in range(queue.MOST_ATTEMPTS + 1):
        stopped = worker(server)
        stopped.send_signal(signal.SIGTERM)
        stopped.communicate()
    (job,) = queue.jobs(server.place)
    assert (job.state, job.attempts) == ("waiting", 0)


def test_a_bug_ends_its_job_and_not_the_worker(server: Server) -> None:
    server.push()
    server.push("origin", ":refs/heads/main")
    server.push()
    outcomes: list[Callable[[], Outcome]] = [lambda: {}["x"], lambda: Outcome(False, ("well",))]  # type: ignore[index]
    assert work(server.place, lambda *_: outcomes.pop(0)())
    assert [job.state for job in queue.jobs(server.place)] == ["failed", "done"]
    assert "KeyError" in server.place.log(1).read_text()


def test_a_store_that_cannot_be_used_fails_the_job(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server.bare.git("config", "tinsmith.store", str(tmp_path / "file"))
    server.push()
    (job,) = server.work()
    assert (job.state, server.built()) == ("failed", [])
    assert str(tmp_path / "file") in job.said[0]


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


def test_installing_again_and_over_a_foreign_hook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = Repository(tmp_path / "a bare 'one'", bare=True)
    place = place_of(bare.folder)
    settings = Settings(
        branches=("main", "next"), store=tmp_path / "store", releases=place.releases, push="r.example/p"
    )
    path = install(place, settings)
    before = (path.read_bytes(), (bare.folder / "config").read_bytes())
    assert read(place) == settings
    assert os.access(path, os.X_OK)
    assert install(place, settings) == path
    assert (path.read_bytes(), (bare.folder / "config").read_bytes()) == before
    install(place, Settings(("main",), "s3://team/store", place.releases))
    assert read(place) == Settings(("main",), "s3://team/store", place.releases)
    install(place, Settings(("main",), place.store, place.releases))
    assert read(place) == Settings(("main",), place.store, place.releases)
    path.write_text("#!/bin/sh\necho mine\n")
    with pytest.raises(UsageError) as caught:
        install(place, settings)
    assert caught.value.code == "foreign-hook"
    assert shlex.split(caught.value.help or "")[-2:] == ["hook", "run"]
    assert (path.read_text(), read(place)) == (
        "#!/bin/sh\necho mine\n",
        Settings(("main",), place.store, place.releases),
    )
    tree = Repository(tmp_path / "tree")
    assert place_of(tree.folder) == Place(tree.folder / ".git")
    with pytest.raises(UsageError):
        place_of(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ["--push", "nohost"],
        ["--push", "registry.example.org/models:1.0"],
        ["--push", "./folder"],
        ["--push", "registry.example.org/UPPER"],
        ["--engine", "podman"],
        ["--key", "absent.key"],
        ["--settings", "absent.toml"],
        ["--manifests", "../elsewhere"],
        ["--manifests", "--option"],
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path, words: list[str]) -> None:
    bare = Repository(tmp_path / "bare", bare=True)
    with pytest.raises(UsageError):
        app(["hook", "install", str(bare.folder), *words], standalone_mode=False)
    assert read(Place(bare.folder)) is None
    assert not hook_path(Place(bare.folder)).exists()


def test_a_repository_without_settings_is_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = Repository(tmp_path / "bare", bare=True)
    monkeypatch.setenv("GIT_DIR", str(bare.folder))
    app(["hook", "run"], standalone_mode=False)
    assert capsys.readouterr().out == ""
    assert not Place(bare.folder).folder.exists()


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


def test_done_jobs_are_kept_for_a_while_and_failed_ones_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "KEPT", 2)
    place = Place(Repository(tmp_path / "bare", bare=True).folder)
    for number in range(1, 6):
        job = queue.add(place, Update("refs/heads/main", None, "1" * 40))
        assert job.number == number
        place.log(number).write_text("")
        queue.finish(place, job, "failed" if number == 1 else "done", ())
    assert [job.number for job in queue.jobs(place)] == [1, 4, 5]
    assert sorted(path.name for path in place.logs.iterdir()) == ["1.log", "4.log", "5.log"]
    (place.jobs / "00000009.json").write_text("{")
    assert len(queue.jobs(place)) == 3


def test_a_hook_is_installed_into_the_repository_that_is_named_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = Repository(tmp_path / "clone")
    tree.write("manifests/deep/a.yaml", "")
    for folder in (tree.folder / "manifests", tree.folder / ".git" / "hooks"):
        with pytest.raises(UsageError, match="is a folder inside the repository"):
            app(["hook", "install", str(folder)], standalone_mode=False)
    assert not hook_path(Place(tree.folder / ".git")).exists()
    app(["hook", "status", str(tree.folder)], standalone_mode=False)
    assert capsys.readouterr().out == f"no hook is installed: tinsmith hook install {tree.folder}\n"
    link = tmp_path / "link"
    link.symlink_to(tree.folder)
    for folder in (link, tree.folder / ".git"):
        app(["hook", "install", str(folder)], standalone_mode=False)
    capsys.readouterr()
    app(["hook", "status", str(tree.folder)], standalone_mode=False)
    assert capsys.readouterr().out == "no jobs yet\n"


def test_data_are_those_of_the_commit_or_fetched(tmp_path: Path) -> None:
    """A digest is no proof of having the data: a release of them would show their pictures."""
    (tmp_path / "manifests").mkdir()
    text = (ROOT / "manifests" / "raccoon-025.yaml").read_text()
    start, end = text.index("    git: https"), text.index("  images: images")
    for path, found in (
        ("../data", None), ("data", None), ("../data/../data", None),
        ("../../data", "../../data"), ("../data/../../x", "../data/../../x"), ("../..", "../.."),
    ):  # fmt: skip
        (tmp_path / "manifests" / "a.yaml").write_text(f"{text[:start]}    path: {path}\n{text[end:]}")
        assert reads_outside(tmp_path, "manifests/a.yaml") == found


def test_the_build_of_a_killed_worker_is_told_to_stop(tmp_path: Path) -> None:
    build = "import os, pathlib, signal, time; pathlib.Path('began').write_text(str(os.getpid())); time.sleep(60)"
    worker = "import pathlib, sys; from builder.hook.programs import run; "
    worker += "run([sys.executable, '-c', sys.argv[1]], {}, *map(pathlib.Path, ('.', 'out', 'log')))"
    process = subprocess.Popen([sys.executable, "-c", worker, build], cwd=tmp_path, env=environment())
    began = tmp_path / "began"
    assert _eventually(lambda: began.exists() and began.read_text() != "")
    child = Path("/proc", began.read_text())
    assert child.exists()
    process.kill()
    process.wait()
    assert _eventually(lambda: not child.exists() or " Z " in (child / "stat").read_text())


def _eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not (done := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return done
