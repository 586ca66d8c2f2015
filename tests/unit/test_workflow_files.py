"""What every workflow of this repository keeps to: pinned actions, least rights, no text run as code, own caches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.workflows.files import FOLDER, load, steps, workflows

WORKFLOWS = workflows()
MAY_WRITE = {
    ("pull-request.yml", "comment"): {"pull-requests"},
    ("release.yml", "again"): {"actions"},
    ("release.yml", "publish"): {"attestations", "contents", "id-token", "packages"},
    ("release.yml", "pages"): {"id-token", "pages"},
    ("rebuild.yml", "report"): {"actions", "issues"},
}
"""Which job's token may write what. A line more here is a right more."""
STORES = {"pull-request.yml": "canary-store-", "release.yml": "release-store-", "rebuild.yml": "rebuild-store-"}
HARMLESS = {"push", "pull_request", "schedule", "workflow_dispatch"}


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file, workflow in WORKFLOWS.items():
        for name, job in workflow["jobs"].items():
            yield file, name, job


def test_there_are_workflows() -> None:
    assert set(WORKFLOWS) == {"test.yml", *STORES}


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    lines = [line for path in FOLDER.iterdir() for line in path.read_text().splitlines() if "uses:" in line]
    pinned = [
        re.fullmatch(r"\s+(?:- )?uses: ([\w-]+/[\w-]+)(?:/[\w-]+)?@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line)
        for line in lines
    ]
    assert all(pinned), [line for line, match in zip(lines, pinned, strict=True) if not match]
    versions = {match.groups() for match in pinned if match}
    assert len(versions) == len({action for action, _, _ in versions}), "one version of each action"
    assert len(lines) == sum("uses" in step for workflow in WORKFLOWS.values() for _, step in steps(workflow))


def test_no_expression_becomes_part_of_a_script() -> None:
    scripts = [step["run"] for workflow in WORKFLOWS.values() for _, step in steps(workflow) if "run" in step]
    assert len(scripts) > 20
    assert not [script for script in scripts if "${{" in script]


def test_nothing_is_permitted_but_to_the_jobs_that_are_known_to_need_it() -> None:
    assert all(workflow["permissions"] == {} for workflow in WORKFLOWS.values())
    found = {}
    for file, name, job in jobs():
        assert isinstance(job["permissions"], dict), (file, name)
        assert set(job["permissions"].values()) <= {"read", "write"}
        if writes := {key for key, access in job["permissions"].items() if access == "write"}:
            found[file, name] = writes
    assert found == MAY_WRITE


def test_no_trigger_gives_a_stranger_the_rights_of_this_repository() -> None:
    assert {trigger for workflow in WORKFLOWS.values() for trigger in workflow["on"]} <= HARMLESS


def test_a_job_of_a_pull_request_that_may_write_takes_nothing_from_it_but_text() -> None:
    workflow = WORKFLOWS["pull-request.yml"]
    writing = [job for file, job in MAY_WRITE if file == "pull-request.yml"]
    assert writing == ["comment"]
    for name, step in steps(workflow):
        if name in writing:
            assert "uses" not in step
            assert not re.search(r"tinsmith (?!report)|install-tinsmith|git |bash|eval|source|\bsh\b", step["run"])
    assert "head.repo.full_name == github.repository" in workflow["jobs"]["comment"]["if"]


def test_secrets_reach_one_step_only() -> None:
    assert "secrets" not in "".join(
        path.read_text().replace("no secrets", "").replace("#   secrets", "")
        for path in FOLDER.iterdir()
        if path.name != "release.yml"
    )
    document = load(FOLDER / "release.yml")
    having = [step["name"] for _, step in steps(document) if "secrets." in str(step)]
    assert having == ["Push to the registry"]
    assert "secrets." not in str({**document, "jobs": {}})


@pytest.mark.parametrize("file", STORES)
def test_a_workflow_asks_only_for_caches_that_it_saves_itself(file: str) -> None:
    """GitHub keeps the caches of pull requests from runs of main; the names keep apart what one branch saves, too."""
    touched = [
        (step["uses"].partition("@")[0], [step["with"]["key"], *step["with"].get("restore-keys", "").splitlines()])
        for _, step in steps(WORKFLOWS[file])
        if "actions/cache" in step.get("uses", "")
    ]
    assert {action for action, _ in touched} == {"actions/cache/restore", "actions/cache/save"}
    keys = [key for _, each in touched for key in each]
    assert all(key.startswith(STORES[file]) for key in keys), keys
    assert len(set(STORES.values())) == len(STORES)


def test_the_store_of_a_stopped_build_is_saved_whatever_happened() -> None:
    saves = {
        file: [step for _, step in steps(WORKFLOWS[file]) if step.get("uses", "").startswith("actions/cache/save")]
        for file in STORES
    }
    assert saves["release.yml"][0]["if"] == "always()"
    assert saves["rebuild.yml"][0]["if"].startswith("always()")
    for file in ("release.yml", "rebuild.yml"):
        (job,) = [
            job for _, _, job in jobs() if "LIMIT" in job.get("env", {}) and job in WORKFLOWS[file]["jobs"].values()
        ]
        minutes = int(re.fullmatch(r"(\d+)m", job["env"]["LIMIT"])[1])  # type: ignore[index]
        assert minutes + 30 <= job["timeout-minutes"] < 360
        (script,) = [step["run"] for step in job["steps"] if "timeout " in step.get("run", "")]
        assert re.search(r'timeout --signal TERM --kill-after \d+m "\$LIMIT"', script)
        assert "124 | 130)" in script


def test_checkouts_keep_no_token() -> None:
    found = [
        step for workflow in WORKFLOWS.values() for _, step in steps(workflow) if "checkout" in step.get("uses", "")
    ]
    assert len(found) > 5
    assert all(step["with"]["persist-credentials"] is False for step in found)


def test_every_job_ends_and_every_workflow_says_what_runs_beside_it() -> None:
    assert all(0 < job["timeout-minutes"] < 360 for _, _, job in jobs())
    assert all("group" in workflow["concurrency"] for workflow in WORKFLOWS.values())
    assert all(job["runs-on"].startswith("ubuntu-2") for _, _, job in jobs()), "a runner image with a version"
