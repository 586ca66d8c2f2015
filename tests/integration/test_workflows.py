"""The workflows, run: a real git repository, real builds, a real registry; gh, docker login and actions are stand-ins.

What runs is the text of ``.github/workflows`` itself. See ``tests/workflows/github.py`` for what stands in for GitHub.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.release.layout import Layout
from builder.settings import cache_folder
from tests.integration.conftest import ROOT, bases, project, runner
from tests.registries import Running, required, running
from tests.workflows.github import OWNER, GitHub, Job, environment

pytestmark = pytest.mark.toolchain
NOTHING_BEFORE = "0" * 40
RELEASED = dict.fromkeys(("changed", "build", "again", "publish", "catalogue", "pages"), "success")


class Repository:
    """A clone in ``folder``, and ``origin``, the bare repository that it is pushed to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.origin = folder / "clone", folder / "origin.git"
        subprocess.run(["git", "init", "--quiet", "--bare", self.origin], check=True)
        subprocess.run(["git", "-C", self.origin, "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
        self.folder.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *words], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Everything as a commit that is on the origin; its id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        sha = self.git("rev-parse", "HEAD")
        self.git("push", "--quiet", str(self.origin), "HEAD:refs/heads/main")
        return sha

    def proposed(self, change: Callable[[], object]) -> str:
        """The merge commit that GitHub makes of a pull request with this change; main stays where it is."""
        self.git("checkout", "--quiet", "-B", "topic", "main")
        change()
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Proposed")
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", "Merge", "topic")
        sha = self.git("rev-parse", "HEAD")
        self.git("push", "--quiet", "--force", str(self.origin), "HEAD:refs/pull/1/merge")
        self.git("checkout", "--quiet", "main")
        return sha


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    required("docker-registry", "jq")
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """With this checkout's workflows, and a manifest beside its lock."""
    made = Repository(tmp_path)
    project(made.folder)
    shutil.copytree(ROOT / ".github", made.folder / ".github")
    install = made.folder / ".github" / "install-tinsmith"
    install.write_text('#!/bin/bash\necho "$INSTALLED" >> "$GITHUB_PATH"\n')
    made.commit("A manifest")
    return made


@pytest.fixture
def github(repository: Repository, tmp_path: Path, registry: Running) -> GitHub:
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "tinsmith").write_text(
        f'#!/bin/bash\nexec "{sys.executable}" -c "from builder.cli import main; main()" "$@"\n'
    )
    (installed / "tinsmith").chmod(0o755)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "toolchains").symlink_to(cache_folder() / "toolchains")
    environ = environment(
        tmp_path / "runner", INSTALLED=str(installed), PYTHONPATH=str(ROOT), TINSMITH_ENGINE="local",
        TINSMITH_CACHE=str(cache), TINSMITH_STATE=str(tmp_path / "state"),
    )  # fmt: skip
    made = GitHub(tmp_path / "github", repository.origin, environ)
    made.overrides["REGISTRY"] = registry.host
    return made


def passed(jobs: dict[str, list[Job]]) -> dict[str, str]:
    """Job -> result; the logs if one failed."""
    logs = [f"{name}\n{job.log}" for name, each in jobs.items() for job in each if job.result == "failure"]
    assert not logs, "\n".join(logs)
    return {name: each[0].result for name, each in jobs.items()}


def kept(github: GitHub, name: str) -> Any:
    path = github.folder / "state" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def pull_request(sha: str, fork: bool = False) -> dict[str, Any]:
    about = {"number": 1, "head": {"repo": {"full_name": "fork/models" if fork else OWNER}}, "user": {"login": "x"}}
    return {"sha": sha, "ref": "refs/pull/1/merge", "event": {"pull_request": about}}


def test_a_pull_request(repository: Repository, github: GitHub) -> None:
    manifest = repository.folder / "manifests" / "tiny.yaml"
    text = manifest.read_text()

    # A comment in a manifest changes no plan.
    sha = repository.proposed(lambda: manifest.write_text(text + "# nothing\n"))
    jobs = github.run("pull-request.yml", **pull_request(sha))
    assert passed(jobs) == {"changed": "success", "canary": "skipped", "comment": "success"}
    assert "no plan has changed" in jobs["changed"][0].summary
    assert kept(github, "comments") == []

    # Another seed does: a canary is built and told of, from a fork only where a fork may.
    def another_seed() -> None:
        manifest.write_text(text.replace("seed: 1", "seed: 2"))
        runner(repository.folder)("lock", "manifests/tiny.yaml", *bases())

    sha = repository.proposed(another_seed)
    jobs = github.run("pull-request.yml", **pull_request(sha, fork=True))
    assert passed(jobs) == {"changed": "success", "canary": "success", "comment": "skipped"}
    assert "tiny" in jobs["canary"][0].summary
    assert github.artifacts("report-tiny").is_dir()

    jobs = github.run("pull-request.yml", **pull_request(sha))
    assert passed(jobs) == {"changed": "success", "canary": "success", "comment": "success"}
    assert re.search(r"([1-9]\d*) steps, \1 cached", jobs["canary"][0].log), jobs["canary"][0].log
    (comment,) = kept(github, "comments")
    assert comment["body"].startswith("<!-- tinsmith report -->\nThe whole reports")
    assert "tiny" in comment["body"]

    # Taken back, and an earlier comment says so.
    sha = repository.proposed(lambda: manifest.write_text(text + "# nothing\n"))
    passed(github.run("pull-request.yml", **pull_request(sha)))
    (again,) = kept(github, "comments")
    assert again["id"] == comment["id"]
    assert "nothing to build" in again["body"]


def test_a_report_longer_than_a_comment(repository: Repository, github: GitHub) -> None:
    """The report is data: what it holds is neither run nor expanded, and is cut at a whole character."""
    text = "$(touch ran) `touch ran` ${{ github.token }} @file\n" + "é" * 70000
    sha = repository.proposed((repository.folder / "README.md").touch)

    def replaced(job: str, step: str, workspace: Path) -> None:
        if step == "Collect the reports":
            report = github.artifacts("report-x") / "build" / "x" / "report.md"
            report.parent.mkdir(parents=True)
            report.write_text(text)

    github.started = replaced
    github.results["canary"] = "success"
    passed(github.run("pull-request.yml", **pull_request(sha)))
    (comment,) = kept(github, "comments")
    assert text[:200] in comment["body"]
    assert comment["body"].endswith("é")
    assert not list(github.folder.rglob("ran"))


def test_a_merge_whose_build_is_stopped(
    built: Path, repository: Repository, github: GitHub, registry: Running, tmp_path: Path
) -> None:
    sha = repository.git("rev-parse", "main")
    github.started = stopping
    jobs = github.run("release.yml", sha, "refs/heads/main", {"before": NOTHING_BEFORE})
    assert passed(jobs) == {**RELEASED, "catalogue": "skipped", "pages": "skipped"}
    assert "goes on in the next round" in jobs["build"][0].log
    assert kept(github, "releases") == []
    (dispatched,) = kept(github, "dispatched")
    assert dispatched == {
        "workflow": "release.yml", "commit": sha, "since": NOTHING_BEFORE, "only": "tiny", "round": "2"
    }  # fmt: skip

    # Main has moved on in the meantime; what was stopped is built all the same.
    (repository.folder / "README.md").write_text("Models\n")
    newer = repository.commit("A page")
    github.started = lambda job, step, workspace: None
    inputs = {key: value for key, value in dispatched.items() if key != "workflow"}
    github.variables["TINSMITH_PAGES"] = "true"
    jobs = github.run("release.yml", newer, "refs/heads/main", {}, **inputs)
    assert passed(jobs) == RELEASED
    assert "going on from step" in jobs["build"][0].log
    assert len(kept(github, "dispatched")) == 1

    # The same as in a build that nobody stopped, in the registry and on GitHub.
    digest = Layout(built / "releases").find("tiny").digest
    pulled = runner(tmp_path)("pull", f"{registry.host}/owner/models/tiny@1.0.0", "--allow-unsigned").stdout
    assert pulled == f"tiny@1.0.0  {digest}\n"
    (release,) = kept(github, "releases")
    assert (release["tag"], release["target"]) == ("tiny@1.0.0", sha)
    assert f"{registry.host}/owner/models/tiny:1.0.0@{digest}" in release["notes"]
    assets = github.folder / "state" / "assets" / "tiny@1.0.0"
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=assets, check=True)
    subprocess.run(["tar", "-xf", "tiny-1.0.0.tar"], cwd=assets, check=True)
    assert (assets / "recipe.tar").is_file()
    attested = dict(line.split("  ") for line in (github.folder / "state" / "attested.txt").read_text().splitlines())
    assert attested[digest.removeprefix("sha256:")] == f"{registry.host}/owner/models/tiny"
    assert "tiny@1.0.0/model.tflite" in attested.values()

    # The catalogue is where Pages take it from, and has it.
    subprocess.run(
        ["tar", "-xf", github.artifacts("github-pages") / "artifact.tar", "./index.html"], cwd=assets, check=True
    )
    assert "tiny" in (assets / "index.html").read_text()

    # Once more: all is there, and the mirror has the same bytes.
    passed(github.run("release.yml", newer, "refs/heads/main", {}, **inputs))
    assert kept(github, "releases") == [release]
    logins = (github.folder / "state" / "logins").read_text().splitlines()
    assert logins == [f"login {registry.host}", f"logout {registry.host}"] * 4  # to push, for the catalogue; twice

    # A pull request does not see what main has built with, nor main what a pull request saved.
    keys = [json.loads(path.read_text())["key"] for path in (github.folder / "caches").glob("*.json")]
    assert all(key.startswith("release-store-tiny-") for key in keys)

    rebuilt(github, newer, sha)


def rebuilt(github: GitHub, sha: str, commit: str) -> None:
    """The scheduled rebuild of what has just been released: the same, then, with a tinsmith that says so, not."""
    wanted = {"released": "success", "rebuild": "success", "report": "success"}
    jobs = github.run("rebuild.yml", sha, "refs/heads/main", {})
    assert passed(jobs) == wanted
    assert "| `tiny@1.0.0` | same |" in jobs["report"][0].summary
    assert kept(github, "issues") == []

    tinsmith = Path(github.environ["INSTALLED"]) / "tinsmith"
    real = tinsmith.read_text()
    saying = '#!/bin/bash\nif [ "$1" = rebuild ]; then mkdir -p rebuild-store; echo "$SAID" >&2; exit "$STATUS"; fi\n'
    tinsmith.write_text(saying + real.partition("\n")[2])
    github.environ.update(STATUS="5", SAID="error[rebuild-differs]: $(touch ran) | <b>")
    for _ in range(2):  # the second time the issue is there
        assert passed(github.run("rebuild.yml", sha, "refs/heads/main", {})) == wanted
        (issue,) = kept(github, "issues")
        assert "| `tiny@1.0.0` | differs |" in issue["body"]
        assert "    error[rebuild-differs]: $(touch ran) | <b>" in issue["body"]

    github.environ.update(STATUS="130", SAID="interrupted")
    jobs = github.run("rebuild.yml", sha, "refs/heads/main", {})
    assert passed(jobs) == wanted
    dispatched = kept(github, "dispatched")[-1]
    assert dispatched == {"workflow": "rebuild.yml", "only": "tiny@1.0.0", "first": str(github.runs), "round": "2"}
    inputs = {key: value for key, value in dispatched.items() if key != "workflow"}
    github.environ.update(STATUS="5", SAID="error[rebuild-differs]: later")
    passed(github.run("rebuild.yml", sha, "refs/heads/main", {}, **inputs))
    (issue,) = kept(github, "issues")
    assert "later" in issue["comments"][0] and "later" not in issue["body"]

    github.environ.update(STATUS="0", SAID="")
    passed(github.run("rebuild.yml", sha, "refs/heads/main", {}))
    assert [issue["state"] for issue in kept(github, "issues")] == ["closed"]
    tinsmith.write_text(real)


def stopping(job: str, step: str, workspace: Path) -> None:
    """What happens when a build reaches its limit, once its training has a checkpoint: ``timeout``'s own alarm."""
    if step == "Build":
        threading.Thread(target=reach_limit, args=(workspace,), daemon=True).start()


def reach_limit(workspace: Path) -> None:
    for _ in range(3000):
        if any(workspace.glob(".tinsmith/store/work/*/out/checkpoints/*.checkpoint")):
            break
        time.sleep(0.05)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text() == "timeout\n" and (process / "cwd").resolve() == workspace.resolve():
                os.kill(int(process.name), signal.SIGALRM)
        except OSError:
            continue
