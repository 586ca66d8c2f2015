"""Every tinsmith command of the workflows and of docs/ci.md is one that the command line takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflows.commands import UsageError, check, commands, fenced, inline, parsed, scripts_in
from tests.workflows.files import ROOT, workflows

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def all_commands() -> list[list[str]]:
    scripts = list(scripts_in(workflows()))
    scripts += [script for block in fenced(PAGE, "yaml") for script in scripts_in(parsed(block))]
    scripts += [*fenced(PAGE, "sh"), *inline(PAGE)]
    return [words for script in scripts for words in commands(script)]


def test_every_command_is_taken() -> None:
    found = all_commands()
    assert {"check", "plan", "changed", "compile", "build", "push", "pull", "rebuild", "site"} <= {w[0] for w in found}
    wrong = []
    for words in found:
        try:
            check(words)
        except UsageError as error:
            wrong.append(f"tinsmith {' '.join(words)}: {error.format_message()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    [
        "tinsmith bild x",
        "tinsmith build --canarie x",
        "tinsmith push x",
        "tinsmith key newer x",
        "tinsmith lock --source",
    ],
)
def test_a_mistake_would_be_found(line: str) -> None:
    (words,) = commands(line)
    with pytest.raises(UsageError):
        check(words)


def test_commands_are_found_wherever_they_stand_in_a_script() -> None:
    script = """
      list | xargs -0 tinsmith check  # tinsmith nothing
      timeout 5m \\
        tinsmith build --store "$STORE" "${manifests[@]}" || status=$?
      matrix="$(tinsmith plan x.yaml --json)" && echo /opt/tinsmith lib
    """
    assert list(commands(script)) == [
        ["check", "1"], ["build", "--store", "1", "1"], ["plan", "x.yaml", "--json"],
    ]  # fmt: skip


def test_the_gitlab_example_is_one(tmp_path: Path) -> None:
    (example,) = [block for block in fenced(PAGE, "yaml") if "stages:" in block]
    path = tmp_path / ".gitlab-ci.yml"
    path.write_text(example)
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
