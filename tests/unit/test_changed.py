"""``tinsmith changed`` and ``compile --to matrix`` in real git repositories, hostile ones among them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from builder.changes import git
from builder.changes.gather import compared
from builder.changes.manifests import is_manifest
from builder.cli import main
from builder.errors import StoreUnreachable, UsageError
from tests.repositories import ROOT, SHAPES, ZERO, Repository, environment, lock_of, manifest

LONGER = ("steps: 800", "steps: 900")
BUDGET = ("min_map50: 0.80", "min_map50: 0.81")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Three manifests, and the working folder."""
    made = Repository(tmp_path / "clone")
    for name in ("one", "two", "three"):
        made.manifest(name)
    made.commit("first")
    monkeypatch.chdir(made.folder)
    return made


def tinsmith(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[str, str]:
    """What the command prints, and what it complains about."""
    before = sys.argv
    capsys.readouterr()
    try:
        sys.argv = ["tinsmith", *words]
        with pytest.raises(SystemExit) as caught:
            main()
    finally:
        sys.argv = before
    found = capsys.readouterr()
    assert int(caught.value.code or 0) == status, found.err
    return found.out, found.err


def changes(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    """Path -> entry of ``changed --json``."""
    out, _ = tinsmith(capsys, "changed", "--json", *words, status=status)
    return {item["path"]: item for item in json.loads(out)["manifests"]}


def test_a_comment_and_reordered_keys_change_no_plan(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    text = manifest("one")
    head, release = text[: text.index("release:")], text[text.index("release:") :]
    repository.write("manifests/one.yaml", f"# other words\n{release}\n{head}")
    repository.write("manifests/two.yaml", manifest("two") + "# the end\n")
    repository.write("manifests/three.yaml", manifest("three").replace("\n", "\r\n"))
    out, _ = tinsmith(capsys, "changed", "--since", "HEAD")
    assert out == "no plan has changed; 3 manifests are the same\n"


def test_what_changes_a_plan_is_listed_with_its_steps(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.manifest("one", LONGER)
    repository.manifest("two", BUDGET)
    found = changes(capsys, "--since", "HEAD")
    assert {path: item["status"] for path, item in found.items()} == {
        "manifests/one.yaml": "changed",
        "manifests/two.yaml": "changed",
    }
    steps = {
        path: [step["name"] for step in item["plans"][0]["steps"] if step["changed"]] for path, item in found.items()
    }
    # The data are the same; a budget judges a model and does not change it.
    assert steps["manifests/one.yaml"] == [
        "train", "export", "convert", "embed", "infer", "verify", "measure", "package",
    ]  # fmt: skip
    assert steps["manifests/two.yaml"] == ["package"]
    out, _ = tinsmith(capsys, "changed", "--since", "HEAD")
    first, second, last = out.splitlines()
    assert first.split() == [
        "manifests/one.yaml",
        "changed",
        *["train", "export", "convert", "…", "0", "of", "9", "cached", "about", "24", "s"],
    ]
    assert first.index("train") == second.index("package")
    assert last == "2 to build, about 45 s on two cores; 1 manifest is the same"


def test_new_removed_and_renamed_manifests(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.manifest("four")
    repository.git("rm", "--quiet", "manifests/two.yaml")
    for suffix in (".yaml", ".lock"):
        (repository.folder / f"manifests/one{suffix}").rename(repository.folder / f"manifests/moved{suffix}")
        (repository.folder / f"manifests/three{suffix}").unlink()
    repository.manifest("three", LONGER, path="manifests/deep/er.yaml")
    found = changes(capsys, "--since", "HEAD")
    assert {path: (item["status"], item["from"]) for path, item in found.items()} == {
        "manifests/four.yaml": ("new", None),
        "manifests/two.yaml": ("removed", None),
        "manifests/moved.yaml": ("renamed", "manifests/one.yaml"),
        "manifests/deep/er.yaml": ("changed", "manifests/three.yaml"),
    }
    out, _ = tinsmith(capsys, "compile", "--to", "matrix", "--since", "HEAD")
    assert [item["name"] for item in json.loads(out)["include"]] == ["three", "four"]


def test_invalid_manifests_are_all_told_after_the_list(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.manifest("one", LONGER, lock=False)  # its lock is that of before
    repository.write("manifests/two.yaml", manifest("two").replace("model:", "modle:"))
    repository.manifest("three", LONGER)
    out, err = tinsmith(capsys, "changed", "--since", "HEAD", status=3)
    assert [line.split()[1] for line in out.splitlines()[:-1]] == ["invalid", "changed", "invalid"]
    assert "one.yaml:6:7: error[stale-lock]" in err
    assert "did you mean 'model'?" in err
    found = changes(capsys, "--since", "HEAD", status=3)
    assert [item["code"] for item in found["manifests/one.yaml"]["problems"]] == ["stale-lock"]
    out, err = tinsmith(capsys, "compile", "--to", "matrix", "--since", "HEAD", status=3)
    assert [item["name"] for item in json.loads(out)["include"]] == ["three"]
    assert "stale-lock" in err


def test_a_manifest_that_was_invalid_and_is_mended_is_built(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.write("manifests/one.yaml", "schema: 1\nmodel: {\n")
    repository.commit()
    repository.manifest("one")
    out, _ = tinsmith(capsys, "changed", "--since", "HEAD")
    assert out.split()[:5] == ["manifests/one.yaml", "changed", "was", "not", "valid"]


def test_other_yaml_and_odd_files_are_passed_over(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.write("manifests/.yamllint.yaml", "rules: {}\n")
    repository.write("manifests/broken.yaml", b"\xff\xfe: [\n\0")
    repository.write("manifests/two-documents.yaml", "a: 1\n---\nb: 2\n")
    repository.write("manifests/empty.yaml", "")
    (repository.folder / "manifests/link.yaml").symlink_to("/etc/passwd")
    (repository.folder / "manifests/gone.yaml").symlink_to("nowhere")
    (repository.folder / "manifests/folder.yaml").mkdir()
    os.mkfifo(repository.folder / "manifests/pipe.yaml")
    Repository(repository.folder / "manifests/nested").manifest("inner")
    assert changes(capsys, "--since", "HEAD") == {}
    (repository.folder / "manifests/pipe.yaml").unlink()
    shutil.rmtree(repository.folder / "manifests/nested")
    repository.commit()
    assert changes(capsys, "--since", "HEAD~1", "--to", "HEAD") == {}
    # What is named is one, whatever it looks like.
    assert changes(capsys, "manifests/empty.yaml", "--since", "HEAD~1", status=3)["manifests/empty.yaml"]["problems"]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (SHAPES, True),
        ("schema: 1\nmodle: {}\ndataset: {}\n", True),
        ("'schema': 1\n\"model\": {}\n", True),
        ('{"schema": 1,\n "model": {}}', True),
        ("\ufeffschema: 1\nmodel: 1\n", True),
        ("on: push\njobs:\n  schema:\n  model:\n", False),
        ("schema: 1\n", False),
        ("", False),
    ],
)
def test_a_manifest_has_two_of_three_keys_at_its_top(text: str, is_one: bool) -> None:
    assert is_manifest(text.encode()) is is_one


def test_names_that_could_steer_a_terminal_or_leave_their_line(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "manifests/a\x1b[2J\nb.yaml"
    repository.manifest("odd", path=odd)
    repository.manifest("quoted", path='manifests/"ü $(id)\t.yaml')
    repository.write(os.fsdecode(b"manifests/\xff.yaml"), manifest("latin"))
    out, _ = tinsmith(capsys, "changed", "--since", "HEAD", status=3)
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4
    assert odd in changes(capsys, "--since", "HEAD", status=3)
    repository.commit()
    assert odd in changes(capsys, "--since", "HEAD~1", "--to", "HEAD", status=3)
    _, err = tinsmith(capsys, "compile", odd, "--to", "matrix", status=2)
    assert "no line can hold" in err


def test_paths_are_those_of_the_working_folder(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.manifest("one", LONGER)
    monkeypatch.chdir(repository.folder / "manifests")
    assert list(changes(capsys, ".", "--since", "HEAD")) == ["one.yaml"]
    assert list(changes(capsys, "one.yaml", "two.yaml", "--since", "HEAD")) == ["one.yaml"]
    assert list(changes(capsys, str(repository.folder), "--since", "HEAD")) == ["one.yaml"]
    assert list(changes(capsys, "../manifests", "--since", "HEAD")) == ["one.yaml"]
    repository.manifest("two", LONGER, lock=False)
    assert "\ntwo.yaml:6:7: " in "\n" + tinsmith(capsys, "changed", ".", "--since", "HEAD", status=3)[1]
    _, err = tinsmith(capsys, "changed", "../..", "--since", "HEAD", status=2)
    assert "outside the repository" in err
    _, err = tinsmith(capsys, "changed", "--since", "HEAD", status=2)  # there is no manifests/manifests
    assert "no manifest is at" in err


def test_ignored_files_count_only_by_name(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.write(".gitignore", "scratch*\n")
    repository.manifest("scratch")
    assert changes(capsys, "--since", "HEAD") == {}
    assert list(changes(capsys, "manifests/scratch.yaml", "--since", "HEAD")) == ["manifests/scratch.yaml"]


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("--output=/tmp/x", "is no revision"),
        ("-n", "is no revision"),
        ("", "is no revision"),
        ("HEAD\nHEAD", "is no revision"),
        ("nowhere", "has no revision 'nowhere'"),
        ("f" * 40, "has no revision"),
        ("HEAD..HEAD", "one range"),
        ("HEAD:manifests", "has no revision"),
    ],
)
def test_a_revision_that_is_none(
    repository: Repository, capsys: pytest.CaptureFixture[str], revision: str, says: str
) -> None:
    _, err = tinsmith(capsys, "changed", f"--since={revision}", status=2)
    assert says in err


def test_zeros_stand_for_nothing_before(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert {item["status"] for item in changes(capsys, "--since", ZERO).values()} == {"new"}
    assert len(changes(capsys, "--since", "0" * 64)) == 3


def test_no_repository_no_git_and_a_shallow_clone(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit("second")
    first = repository.git("rev-parse", "HEAD~1")
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.folder}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    _, err = tinsmith(capsys, "changed", "--since", first, status=2)
    assert "fetch-depth: 0" in err
    monkeypatch.chdir(tmp_path)
    _, err = tinsmith(capsys, "changed", "--since", "HEAD", status=2)
    assert "no git repository" in err
    monkeypatch.setenv("PATH", "")
    _, err = tinsmith(capsys, "changed", "--since", "HEAD", status=2)
    assert "git is not installed" in err


def test_a_partial_clone_is_told_and_nothing_is_fetched(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.manifest("one", LONGER)
    repository.commit()
    repository.git("config", "uploadpack.allowFilter", "true")
    origin = f"file://{repository.folder}"
    repository.git("clone", "--quiet", "--bare", "--filter=blob:none", origin, str(tmp_path / "partial"))
    monkeypatch.chdir(tmp_path / "partial")
    _, err = tinsmith(capsys, "changed", "--since", "HEAD~1", "--to", "HEAD", status=8)
    assert "partial" in err


def test_a_bare_repository_has_both_sides_in_git(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.manifest("one", LONGER)
    repository.commit()
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    monkeypatch.chdir(tmp_path / "bare")
    assert list(changes(capsys, "--since", "HEAD~1", "--to", "main")) == ["manifests/one.yaml"]
    _, err = tinsmith(capsys, "changed", "--since", "HEAD", status=2)
    assert "--to main" in err


def test_nothing_that_the_repository_names_is_run(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its configuration, attributes and hooks, and the variables of a hook around this."""
    ran = tmp_path / "ran"
    program = repository.write("program", f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.sshCommand", "core.editor", "core.pager", "diff.external", "core.askPass",
                 "filter.x.clean", "filter.x.smudge", "filter.x.process", "diff.x.textconv", "diff.x.command",
                 "core.alternateRefsCommand"):  # fmt: skip
        repository.git("config", name, str(program))
    repository.write(".gitattributes", "*.yaml filter=x diff=x\n")
    for hook in ("post-index-change", "post-checkout", "reference-transaction"):
        shutil.copy(program, repository.folder / ".git" / "hooks" / hook)
    repository.manifest("one", LONGER)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    assert list(changes(capsys, "--since", "HEAD")) == ["manifests/one.yaml"]
    assert not ran.exists()


def test_step_code_in_the_repository_is_that_of_each_side(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from builder.resources import docker_folder

    shutil.copytree(docker_folder(), repository.folder / "docker")
    repository.commit("with tinsmith")
    before = repository.git("rev-parse", "HEAD")
    for module in ("builder.changes.gather", "builder.resources", "builder.plan.summaries"):
        monkeypatch.setattr(f"{module}.docker_folder", lambda: repository.folder / "docker")
    monkeypatch.setattr("builder.changes.gather.steps_folder", lambda: repository.folder / "docker" / "steps")
    assert changes(capsys, "--since", before) == {}
    repository.write("docker/README.md", "other words")
    step = repository.folder / "docker" / "steps" / "verify.py"
    step.write_text(step.read_text() + "# faster\n")
    for words in ((), ("--to", "HEAD")):
        found = changes(capsys, "--since", before, *words)
        assert len(found) == 3
        changed = [step["name"] for step in found["manifests/one.yaml"]["plans"][0]["steps"] if step["changed"]]
        assert changed == ["verify", "package"]
        repository.commit()
    # Code that has no such step is code that planned something else.
    repository.git("rm", "--quiet", "docker/steps/embed.py")
    old = repository.commit()
    repository.git("revert", "--no-edit", "HEAD")
    assert len(changes(capsys, "--since", old)) == 3
    # A toolchain that changed makes every lock stale.
    requirements = repository.folder / "docker" / "tf1.15" / "requirements.lock"
    requirements.write_text(requirements.read_text() + "# newer\n")
    assert {item["status"] for item in changes(capsys, "--since", "HEAD", status=3).values()} == {"invalid"}


def test_variants_and_what_selects_them(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    both = ("quantization: float32", "quantization: [float32, float16]")
    chosen = ("verify:  ", "select: budgets\nverify:  ")
    repository.manifest("one", both, chosen)
    found = changes(capsys, "--since", "HEAD")["manifests/one.yaml"]
    assert [(plan["name"], plan["status"]) for plan in found["plans"]] == [
        ("one-float32", "new"), ("one-float16", "new"), ("one", "removed"),
    ]  # fmt: skip
    assert found["training_seconds"] == found["plans"][0]["training_seconds"] > 0  # one training for both
    repository.commit()
    repository.manifest("one", both, (chosen[0], chosen[1].replace("budgets", "{best: map50}")))
    found = changes(capsys, "--since", "HEAD")["manifests/one.yaml"]
    assert (found["status"], found["selection_changed"]) == ("changed", True)
    assert not any(step["changed"] for plan in found["plans"] for step in plan["steps"])


def test_steps_in_the_store_are_cached(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from builder.digest import Digest
    from builder.store.base import StepResult
    from builder.store.disk import DiskStore

    repository.manifest("one", LONGER)
    found = changes(capsys, "--since", "HEAD")["manifests/one.yaml"]
    keys = {step["name"]: step["key"] for step in found["plans"][0]["steps"]}
    store = DiskStore(tmp_path / "store")
    for name in ("ingest", "train"):
        store.record(StepResult(Digest(keys[name]), name, (), {}))
    found = changes(capsys, "--since", "HEAD", "--store", str(tmp_path / "store"))["manifests/one.yaml"]
    assert [step["name"] for step in found["plans"][0]["steps"] if step["cached"]] == ["ingest", "train"]
    assert (found["training_seconds"], found["training_seconds_to_run"]) == (24, 0)
    words = ("--to", "matrix", "--store", str(tmp_path / "store"))
    out, _ = tinsmith(capsys, "compile", *words, "--since", "HEAD", "-o", str(tmp_path / "matrix.json"))
    assert out == ""
    (entry,) = json.loads((tmp_path / "matrix.json").read_text())["include"]
    assert entry == {"id": "one", "manifest": "manifests/one.yaml", "name": "one", "version": "1.0.0", "minutes": 0}


def test_few_processes_however_many_files(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        repository.manifest(f"more-{number}")
    count = 0
    run = subprocess.run

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        return run(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    found = git.find(repository.folder)
    asked = compared(found, ["manifests"], git.commit(found, "HEAD"))
    assert (len(asked.changes), asked.unchanged) == (12, 3)
    assert count <= 6


def test_equal_ids_on_both_sides_are_not_parsed(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        "builder.changes.gather.summaries", lambda texts, code, current: seen.extend(item.path for item in texts) or []
    )
    found = git.find(repository.folder)
    assert compared(found, ["manifests"], git.commit(found, "HEAD")).unchanged == 3
    assert seen == []


def test_objects_of_sha256(tmp_path: Path) -> None:
    made = Repository(tmp_path / "sha1")
    shutil.rmtree(made.folder / ".git")
    made.git("init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    made.manifest("one")
    made.commit()
    found = git.find(made.folder)
    assert compared(found, ["manifests"], git.commit(found, "HEAD")).changes == ()


def test_a_file_too_large_for_a_manifest_is_read_only_as_far_as_that(repository: Repository) -> None:
    data = b"schema: 1\nmodel: 1\n" + b"#" * 3_000_000
    repository.write("manifests/large.yaml", data)
    repository.commit()
    found = git.find(repository.folder)
    id = git.id_of(data, "sha1")
    assert len(git.blobs(found, [id])[id]) == 1_000_001
    with pytest.raises(StoreUnreachable):
        git.blobs(found, ["1" * 40])
    with pytest.raises(UsageError):
        git.at(repository.folder / "manifests")


def test_the_lock_that_is_missing_then_is_no_manifest_of_then(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.manifest("late", lock=False)
    repository.commit()
    repository.write("manifests/late.lock", lock_of(manifest("late")))
    assert changes(capsys, "--since", "HEAD")["manifests/late.yaml"]["status"] == "changed"


PAGE = (ROOT / "docs" / "changed.md").read_text(encoding="utf-8")


def test_the_commands_of_the_page(repository: Repository, tmp_path: Path) -> None:
    """As they stand there: by hand, and in the jobs of a workflow."""
    clone = Repository(tmp_path / "work")
    clone.git("remote", "add", "origin", str(repository.folder))
    clone.git("fetch", "--quiet", "origin")
    clone.git("reset", "--quiet", "--hard", "origin/main")
    clone.manifest("shapes")
    by_hand = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    said = [bash(clone.folder, script).stdout for script in by_hand]
    assert said[0].splitlines()[0].split()[:5] == ["manifests/shapes.yaml", "new", "ingest", "train", "export"]
    assert said[1:] == re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert '`{"any":false,"include":[]}`' in PAGE

    (workflow,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    plan, build = (job["steps"][0]["run"] for job in YAML(typ="safe").load(workflow)["jobs"].values())
    output = tmp_path / "output"
    bash(clone.folder, plan, SINCE=clone.git("rev-parse", "HEAD"), GITHUB_OUTPUT=str(output))
    (entry,) = json.loads(output.read_text().removeprefix("matrix="))["include"]
    several = f"{entry['manifest']}\nmanifests/with a space.yaml"
    told = bash(clone.folder, build.replace("tinsmith build", "printf '<%s>'"), MANIFESTS=several).stdout
    assert told == "<manifests/shapes.yaml><manifests/with a space.yaml>"


def bash(folder: Path, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = f'tinsmith() {{ "{sys.executable}" -c "from builder.cli import main; main()" "$@"; }}\n{script}'
    done = subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=environment(**more), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_trees_that_list_more_than_there_is_room_for(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "MOST_BYTES_LISTED", 200)
    _, err = tinsmith(capsys, "changed", "--since", "HEAD", status=2)
    assert "lists more files than are looked at" in err


def test_all_but_a_commit_is_no_revision(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = tinsmith(capsys, "changed", "--since", "^HEAD", status=2)
    assert "no revision '^HEAD'" in err
