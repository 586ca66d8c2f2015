from __future__ import annotations

from pathlib import Path

import pytest

from builder.lock.file import load_lock
from builder.manifest.load import loads
from builder.plan.code import modules_of, read_step_code
from builder.plan.make import make_plan
from builder.plan.status import Statuses
from builder.plan.step import Plan
from builder.plan.summary import step_lines
from builder.resources import steps_folder
from tests.golden.write import ROOT

SHAPES = ROOT / "manifests" / "shapes.yaml"
CODE = read_step_code(steps_folder())


def plan_of(text: str, code: dict[str, bytes] = CODE) -> Plan:
    return make_plan(loads(text, "shapes.yaml").only, load_lock(SHAPES.with_suffix(".lock")), code)


def changed(before: Plan, after: Plan) -> set[str]:
    return {step.name for step in before.steps if after.step(step.name).key != step.key}


@pytest.fixture(scope="module")
def text() -> str:
    return SHAPES.read_text()


ALL = {"ingest", "train", "export", "convert", "embed", "infer", "verify", "measure", "package"}


def test_steps_come_after_all_that_they_need() -> None:
    plan = plan_of(SHAPES.read_text())
    seen: set[str] = set()
    for step in plan.steps:
        assert {item.step for item in step.inputs if item.step} <= seen
        seen.add(step.name)
    assert seen == ALL
    assert plan.target == "package"


def test_a_comment_changes_no_key(text: str) -> None:
    assert plan_of(text) == plan_of("# a comment\n" + text)


@pytest.mark.parametrize(
    ("field", "reruns"),
    [
        ("seed: ", ALL),
        ("steps: ", ALL - {"ingest"}),
        ("max_detections: ", ALL - {"ingest", "train"}),
        ("description: ", {"embed", "infer", "verify", "measure", "package"}),
        ("min_map50: ", {"package"}),
    ],
)
def test_a_field_reruns_only_the_steps_that_read_it(text: str, field: str, reruns: set[str]) -> None:
    lines = text.splitlines()
    number = next(i for i, line in enumerate(lines) if field in line)
    before, _, value = lines[number].partition(field)
    values = {"seed: ": "77", "description: ": "Other words", "steps: ": "2000", "min_map50: ": "0.5"}
    other = values.get(field, "7")
    end = value[value.find("}") :] if "}" in value and field != "description: " else ""
    rest = value[value.find(",") :] if "," in value and field != "description: " else end
    lines[number] = before + field + other + rest
    assert changed(plan_of(text), plan_of("\n".join(lines) + "\n")) == reruns


def test_editing_a_step_reruns_it_and_what_follows_but_nothing_before(text: str) -> None:
    code = {**CODE, "verify.py": CODE["verify.py"] + b"\n# edited\n"}
    assert changed(plan_of(text), plan_of(text, code)) == {"verify", "package"}


def test_code_is_followed_through_imports_wherever_they_stand() -> None:
    code = {
        "run.py": b"import contract",
        "contract.py": b"import json",
        "train.py": b"def f():\n    from batches import g\n",
        "batches.py": b"import augment as a",
        "augment.py": b"",
        "verify.py": b"",
    }
    assert modules_of("train", code) == ("augment.py", "batches.py", "contract.py", "run.py", "train.py")


def test_status_says_why_a_step_has_to_run(tmp_path: Path, text: str) -> None:
    plan = plan_of(text)
    assert set(Statuses(tmp_path / "none").of(step_lines(plan))) == {"to run: the store is empty"}
    (tmp_path / "store").mkdir()
    found = dict(
        zip([step.name for step in plan.steps], Statuses(tmp_path / "store").of(step_lines(plan)), strict=True)
    )
    assert found["ingest"] == "to run: no result for this key"
    assert found["export"] == "to run: needs train"
