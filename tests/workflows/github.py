"""As much of GitHub as our workflows need to run here: jobs in order, each in a new folder, and what actions do.

Each job's token is the list of its permissions, which the stand-in for ``gh`` holds its user to.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.workflows.files import STATUS, filled, load, text_of, value_of

OWNER = "Owner/Models"
Hook = Callable[[str, str, Path], None]


@dataclass
class Job:
    """How a job ended; ``summary`` is what it wrote for people."""

    result: str = "success"
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


class GitHub:
    """A repository with its runs, in ``folder``; ``origin`` is the bare repository, ``environ`` that of the runner.

    ``started`` is called with job, step and workspace whenever a step starts; ``overrides`` are variables in place of
    those of a workflow's ``env``, ``results`` are of jobs that are not run, ``variables`` the repository's.
    """

    def __init__(self, folder: Path, origin: Path, environ: Mapping[str, str]) -> None:
        self.folder, self.origin, self.environ = folder, origin, dict(environ)
        self.started: Hook = lambda job, step, workspace: None
        self.overrides: dict[str, str] = {}
        self.results: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.runs = 0
        for name in ("artifacts", "caches", "state"):
            (folder / name).mkdir(parents=True)

    def run(self, workflow: str, sha: str, ref: str, event: Mapping[str, Any], **inputs: Any) -> dict[str, list[Job]]:
        """Runs a workflow of the commit ``sha``; job id -> its jobs, one for each entry of a matrix."""
        self.runs += 1
        path = self.folder / f"{self.runs}-{workflow}"
        path.write_bytes(self._git("show", f"{sha}:.github/workflows/{workflow}"))
        document = load(path)
        github = {
            "repository": OWNER, "sha": sha, "ref": ref, "ref_name": ref.rpartition("/")[2], "run_id": self.runs,
            "run_attempt": 1, "event": {"repository": {"default_branch": "main"}, **event},
        }  # fmt: skip
        names: dict[str, Any] = {"github": github, "inputs": inputs, "vars": self.variables, "secrets": {}, "needs": {}}
        names["env"] = {**filled(document.get("env", {}), names), **self.overrides}
        done: dict[str, list[Job]] = {}
        for name, job in document["jobs"].items():
            needed = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            names["needs"] = {one: _together(done[one]) for one in needed}
            done[name] = [Job(self.results[name])] if name in self.results else self._matrix(name, job, names)
        return done

    def artifacts(self, name: str) -> Path:
        """The newest run's artifact of that name."""
        return self.folder / "artifacts" / str(self.runs) / name

    def _git(self, *words: str) -> bytes:
        return subprocess.run(["git", "-C", str(self.origin), *words], check=True, capture_output=True).stdout

    def _matrix(self, name: str, job: dict[str, Any], names: dict[str, Any]) -> list[Job]:
        condition = str(job.get("if", "success()"))
        fine = all(need["result"] == "success" for need in names["needs"].values())
        if not _holds(condition, names, fine):
            return [Job("skipped")]
        include = filled(job.get("strategy", {}).get("matrix", {}).get("include", [{}]), names)
        return [self._job(f"{name}-{number}", job, {**names, "matrix": row}) for number, row in enumerate(include)]

    def _job(self, place: str, job: dict[str, Any], names: dict[str, Any]) -> Job:
        work = self.folder / f"run-{self.runs}" / place
        workspace = work / "workspace"
        workspace.mkdir(parents=True)
        for file in ("env", "path", "summary"):
            (work / file).touch()
        github = {**names["github"], "token": json.dumps(_permissions(job, names), sort_keys=True)}
        names = {**names, "github": github, "steps": {}}
        names["env"] = {**names["env"], **filled(job.get("env", {}), names)}
        done = Job()
        for number, step in enumerate(job["steps"]):
            if not _holds(str(step.get("if", "success()")), names, done.result == "success"):
                continue
            outputs = work / f"outputs-{number}"
            outputs.touch()
            try:
                self.started(place, step["name"], workspace)
                if "uses" in step:
                    self._action(step["uses"].partition("@")[0], filled(step.get("with", {}), names), workspace, github)
                else:
                    variables = {**names["env"], **filled(step.get("env", {}), names)}
                    done.log += self._shell(step["run"], self._environment(work, outputs, github, variables), workspace)
            except (subprocess.CalledProcessError, AssertionError, OSError) as error:
                done.result = "failure"
                done.log += f"{step['name']}: {error}\n{getattr(error, 'output', '')}\n"
            if "id" in step:
                names["steps"][step["id"]] = {"outputs": _outputs(outputs)}
        done.outputs = {key: text_of(filled(value, names)) for key, value in job.get("outputs", {}).items()}
        done.summary = (work / "summary").read_text()
        return done

    def _environment(
        self, work: Path, outputs: Path, github: Mapping[str, Any], environ: Mapping[str, Any]
    ) -> dict[str, str]:
        added = [*reversed((work / "path").read_text().split()), self.environ["PATH"]]
        return {
            **self.environ, "PATH": ":".join(added), "GITHUB_OUTPUT": str(outputs), "GITHUB_PATH": str(work / "path"),
            "GITHUB_STEP_SUMMARY": str(work / "summary"), "GITHUB_REPOSITORY": OWNER, "GITHUB_ACTOR": "somebody",
            "GITHUB_SERVER_URL": "https://github.example", "GITHUB_RUN_ID": str(self.runs), "RUNNER_TEMP": str(work),
            "GITHUB_SHA": github["sha"], "FAKE_GITHUB": str(self.folder),
            **{key: text_of(value) for key, value in environ.items()},
        }  # fmt: skip

    def _shell(self, script: str, environ: dict[str, str], workspace: Path) -> str:
        """As GitHub runs a step whose shell is ``bash``."""
        path = workspace.parent / "step.sh"
        path.write_text(script)
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(path)]
        return subprocess.run(
            command, cwd=workspace, env=environ, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ).stdout

    def _action(self, name: str, given: dict[str, Any], workspace: Path, github: Mapping[str, Any]) -> None:
        if name == "actions/checkout":
            assert given["persist-credentials"] is False
            self._check_out(workspace, given.get("ref") or github["sha"], given.get("fetch-depth", 1))
        elif name == "actions/upload-artifact":
            self._upload(workspace, given)
        elif name == "actions/attest-build-provenance":
            lines = (workspace / given["subject-checksums"]).read_text().splitlines()
            assert lines and all(re.fullmatch(r"[0-9a-f]{64}  \S+", line) for line in lines), lines
            shutil.copy(workspace / given["subject-checksums"], self.folder / "state" / "attested.txt")
        elif name == "actions/deploy-pages":
            assert self.artifacts("github-pages").is_dir()
        else:
            self._cache(name, given, workspace, github["ref"])

    def _check_out(self, workspace: Path, sha: str, depth: int) -> None:
        def git(*words: str) -> None:
            command = ["git", "-c", "init.defaultBranch=main", *words]
            subprocess.run(command, cwd=workspace, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        git("init", "--quiet")
        depths = [f"--depth={depth}"] if depth else []
        git("fetch", "--quiet", *depths, f"file://{self.origin}", sha)
        git("checkout", "--quiet", "--detach", "FETCH_HEAD")

    def _upload(self, workspace: Path, given: Mapping[str, Any]) -> None:
        target = self.artifacts(given["name"])
        assert given.get("overwrite") or not target.exists(), f"the artifact {given['name']} is there already"
        patterns = given["path"].split()
        base = workspace / patterns[0] if len(patterns) == 1 and (workspace / patterns[0]).is_dir() else workspace
        found = [path for pattern in patterns for path in workspace.glob(pattern)]
        files = [file for path in found for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
        assert files or given.get("if-no-files-found") == "ignore", f"no files for the artifact {given['name']}"
        for file in files:
            if any(part.startswith(".") for part in file.relative_to(workspace).parts):
                continue  # as the action does
            place = target / (file.relative_to(base) if len(patterns) > 1 or base != workspace else file.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)

    def _cache(self, name: str, given: Mapping[str, Any], workspace: Path, ref: str) -> None:
        """Caches are seen by the ref that saved them, those of main by all."""
        caches = self.folder / "caches"
        if name == "actions/cache/save":
            path = caches / f"{len(list(caches.iterdir())):04}.tar"
            if (workspace / given["path"]).exists():
                subprocess.run(["tar", "-C", workspace, "-cf", path, given["path"]], check=True)
                path.with_suffix(".json").write_text(json.dumps({"key": given["key"], "ref": ref}))
            return
        assert name == "actions/cache/restore", name
        for prefix in [given["key"], *given.get("restore-keys", "").split()]:
            for entry in sorted(caches.glob("*.json"), reverse=True):
                about = json.loads(entry.read_text())
                if about["key"].startswith(prefix) and about["ref"] in (ref, "refs/heads/main"):
                    subprocess.run(["tar", "-C", workspace, "-xf", entry.with_suffix(".tar")], check=True)
                    return


def _together(jobs: list[Job]) -> dict[str, Any]:
    """What ``needs`` knows of the jobs of a matrix."""
    results = {job.result for job in jobs}
    result = "failure" if "failure" in results else next(iter(results))
    return {"result": result, "outputs": jobs[-1].outputs}


def _holds(condition: str, names: Mapping[str, Any], fine: bool) -> bool:
    if not fine and not STATUS.search(condition):
        return False
    status = {"success": lambda: fine, "failure": lambda: not fine, "always": lambda: True, "cancelled": lambda: False}
    return bool(value_of(condition, {**names, **status}))


def _permissions(job: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, str]:
    """Those of a job's token; a fork's only reads."""
    head = names["github"]["event"].get("pull_request", {}).get("head", {}).get("repo", {}).get("full_name", OWNER)
    asked = job.get("permissions", {})
    return dict(asked) if head == OWNER else dict.fromkeys(asked, "read")


def _outputs(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def environment(folder: Path, **more: str) -> dict[str, str]:
    """For steps: a PATH with the stand-ins for gh and docker, and nothing of this machine's settings or logins."""
    (folder / "home").mkdir(parents=True)
    stand_ins = Path(__file__).parent / "stand_ins"
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    home = str(folder / "home")
    return {**kept, "PATH": f"{stand_ins}:{kept['PATH']}", "HOME": home, "DOCKER_CONFIG": home, **more}
