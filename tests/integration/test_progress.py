"""What a real build says while it runs: as docs/progress.md has it, in every view."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ROOT, bases, environment, runner
from tests.terminal import Screen, run_in_terminal

pytestmark = pytest.mark.toolchain
PAGE = (ROOT / "docs" / "progress.md").read_text(encoding="utf-8")
MANIFEST = "manifests/tiny.yaml"
STEPS = ["ingest", "train", "export", "convert", "embed", "infer", "verify", "measure", "package"]

OF_A_CLUSTER = {"workers", "lost"}

Record = dict[str, Any]


@pytest.fixture(scope="module")
def recorded(built: Path) -> list[Record]:
    """The events of a build in which every step ran."""
    return records_of((built / "build.jsonl").read_text())


def records_of(lines: str) -> list[Record]:
    return [json.loads(line, parse_constant=pytest.fail) for line in lines.splitlines()]


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Kind -> the fields that it always has, and those that it may have."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", PAGE.partition("## For programs")[2], re.MULTILINE)
    found = {}
    for kind, fields in rows:
        names = re.findall(r"`(\w+)`(\??)", fields)
        found[kind] = ({name for name, mark in names if not mark}, {name for name, _ in names})
    return found


def test_every_event_is_of_a_kind_of_the_page_and_has_its_fields(built: Path, recorded: list[Record]) -> None:
    kinds = documented()
    again = records_of(runner(built)("build", MANIFEST, "--engine", "local", "--progress", "json").stderr)
    for record in recorded + again:
        assert set(record) == {"time", "step", "kind", "detail"}
        always, may = kinds[record["kind"]]
        assert always <= set(record["detail"]) <= may, record
    assert {record["kind"] for record in again} == {"plan", "cached"}
    assert {record["kind"] for record in recorded} == set(kinds) - {"cached", "error", "failed", *OF_A_CLUSTER}


def test_a_build_that_fails_says_so_as_the_page_has_it(built: Path, tmp_path: Path) -> None:
    """Of a share for evaluation that is less than a picture."""
    text = (built / MANIFEST).read_text()
    assert "eval: 0.2" in text
    (tmp_path / "manifests").mkdir()
    (tmp_path / MANIFEST).write_text(text.replace("eval: 0.2", "eval: 0.001"))
    run = runner(tmp_path)
    run("lock", MANIFEST, *bases())
    lines = run("build", MANIFEST, "--engine", "local", "--progress", "json", status=3).stderr.splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    kinds = documented()
    said, failed = (next(record for record in records if record["kind"] == kind) for kind in ("error", "failed"))
    for record in (said, failed):
        assert set(record["detail"]) == kinds[record["kind"]][0]
        assert (record["step"], record["detail"]["code"]) == ("ingest", "dataset-empty-split")
    assert failed is records[-1]
    assert lines[len(records)].startswith("error[dataset-empty-split]: ")


def test_the_plan_comes_first_and_tells_all_that_follows(recorded: list[Record]) -> None:
    first, *rest = recorded
    assert first["kind"] == "plan"
    table = PAGE.partition("Each of the `steps` of a `plan`")[2].partition("In `progress`")[0]
    fields = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]+)\|", table, re.MULTILINE))))
    steps = first["detail"]["steps"]
    assert [step["name"] for step in steps] == STEPS
    assert all(set(step) == fields for step in steps)
    assert [step["name"] for step in steps if step["cached"]] == []
    assert [step["name"] for step in steps if step["training"]] == ["train"]
    assert [step["name"] for step in steps if step["predicted_seconds"] is not None] == ["train"]
    keys = {step["name"]: step["key"] for step in steps}
    for kind in ("preparing", "started", "finished"):
        said = [(record["step"], record["detail"]["key"]) for record in rest if record["kind"] == kind]
        assert said == [(name, keys[name]) for name in STEPS]
    for record in rest:
        if record["kind"] == "progress" and record["detail"].get("stage") == "training":
            assert record["step"] == "train"


REPLAY = """
import json, sys, time
from builder.progress.events import Reporter
from builder.progress.views import view_for
with Reporter(view_for("auto")) as emit:
    for line in open("events.jsonl"):
        record = json.loads(line)
        emit(record["kind"], record["detail"])
        time.sleep(0.01)
print("over")
"""


@pytest.mark.parametrize(("width", "height"), [(100, 40), (40, 10)])
def test_a_terminal_ends_with_every_step_and_what_was_said(
    recorded: list[Record], tmp_path: Path, width: int, height: int
) -> None:
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(record) + "\n" for record in recorded))
    env = {**environment(), "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        env.pop(name, None)
    status, written = run_in_terminal([sys.executable, "-c", REPLAY], width=width, height=height, env=env, cwd=tmp_path)
    assert status == 0
    screen = Screen(width, height)
    screen.feed(written)
    lines = [line for line in screen.text.splitlines() if line]
    *said, heading = lines[: lines.index(next(line for line in lines if line.startswith("tiny 1.0.0"))) + 1]
    assert "9 of 9 steps" in heading
    texts = [record["detail"]["text"] for record in recorded if record["kind"] == "message"]
    before = re.compile(rf"^  (?:{'|'.join(STEPS)})? +")
    assert "".join(" ".join(texts).split()) == "".join("".join(before.sub("", line) for line in said).split())
    table = lines[len(said) + 1 : -1]
    marks = [(line.split()[0], line.split()[1], line.split()[2]) for line in table if "loss" not in line]
    assert marks == [("✓", name, "done") for name in STEPS]
    (loss,) = (line for line in table if "loss" in line)
    assert re.search("[▁▂▃▄▅▆▇█]{3}", loss)
    assert lines[-1] == "over"
    assert screen.cursor


def test_a_build_in_a_terminal(built: Path, tmp_path: Path) -> None:
    """The command itself, its results below what it showed. All but ``package`` is in the store."""
    text = (built / MANIFEST).read_text().replace("name: tiny", "name: seen")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "seen.yaml").write_text(text)
    runner(tmp_path)("lock", "manifests/seen.yaml", *bases())
    code = "from builder.cli import main; main()"
    words = ["build", "manifests/seen.yaml", "--engine", "local", "--store", str(built / ".tinsmith" / "store")]
    env = {**os.environ, **environment(), "TERM": "xterm", "LC_ALL": "C"}
    for name in ("COLUMNS", "LINES"):
        env.pop(name, None)
    status, written = run_in_terminal([sys.executable, "-c", code, *words], width=72, height=24, env=env, cwd=tmp_path)
    assert status == 0, written
    screen = Screen(72, 24)
    screen.feed(written)
    assert "seen 1.0.0  9 of 9 steps" in screen.text
    assert re.search(r"^= train +cached$", screen.text, re.MULTILINE)
    assert re.search(r"^\+ package +done in", screen.text, re.MULTILINE)
    assert "seen@1.0.0" in screen.text.partition("package")[2]
    assert screen.text.isascii() and screen.cursor
