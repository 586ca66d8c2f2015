"""``tinsmith plan`` over one manifest and over many."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.cli.planned import PlanText
from builder.digest import hex_of
from builder.plan.code import read_step_code
from builder.plan.status import Statuses
from builder.plan.summarize import summarize
from builder.plan.summary import Summary, Texts
from builder.resources import steps_folder
from builder.store.base import StepResult
from builder.store.disk import DiskStore

ROOT = Path(__file__).resolve().parents[2]
CODE = read_step_code(steps_folder())


def summary(name: str = "shapes") -> Summary:
    path = ROOT / "manifests" / f"{name}.yaml"
    return summarize(Texts(name, path.read_bytes(), path.with_suffix(".lock").read_bytes()), CODE)


def tinsmith(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, "PYTHONPATH": str(ROOT), "TINSMITH_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", "from builder.cli import main; main()", *words]
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Its folder has manifests in two levels, and other files."""
    folder = tmp_path / "manifests"
    (folder / "more").mkdir(parents=True)
    for name, place in (("shapes", folder), ("shapes-width", folder), ("raccoon-025", folder / "more")):
        for ending in ("yaml", "lock"):
            shutil.copy(ROOT / "manifests" / f"{name}.{ending}", place)
    (folder / "compose.yaml").write_text("services: {}\n")
    (folder / "broken.yaml").write_text("[")
    return tmp_path


def test_a_folder_stands_for_the_manifests_below_it(project: Path) -> None:
    named = ["manifests/more/raccoon-025.yaml", "manifests/shapes-width.yaml", "manifests/shapes.yaml"]
    by_name, by_folder = tinsmith(project, "plan", *named), tinsmith(project, "plan", "manifests")
    assert (by_name.returncode, by_name.stderr) == (0, "")
    assert by_name.stdout.count("  plan sha256:") == 4
    assert by_folder.stdout == by_name.stdout
    assert tinsmith(project, "plan", "manifests", "--json").stdout == tinsmith(project, "plan", *named, "--json").stdout


def test_a_folder_without_manifests_is_a_mistake(project: Path) -> None:
    (project / "empty").mkdir()
    done = tinsmith(project, "plan", "manifests", "empty")
    assert (done.returncode, done.stdout) == (2, "") and "empty" in done.stderr


def test_every_invalid_manifest_is_told_and_none_is_shown(project: Path) -> None:
    manifests = project / "manifests"
    shapes = (manifests / "shapes.yaml").read_text()
    (manifests / "wrong.yaml").write_text(shapes.replace("steps: 800", "steps: -1"))
    (manifests / "unlocked.yaml").write_text(shapes)
    (manifests / "stale.yaml").write_text(shapes.replace("seed: 1\n", "seed: 2\n"))
    shutil.copy(manifests / "shapes.lock", manifests / "stale.lock")
    for _ in range(2):
        done = tinsmith(project, "plan", "manifests")
        assert (done.returncode, done.stdout) == (3, "")
        for path, code in (("wrong", "out-of-range"), ("unlocked", "not-locked"), ("stale", "stale-lock")):
            assert f"manifests/{path}.yaml:" in done.stderr and code in done.stderr


def test_many_end_in_a_sum(project: Path) -> None:
    shown = tinsmith(project, "plan", *["manifests/shapes.yaml"] * 19)
    assert "different steps" not in shown.stdout
    shown = tinsmith(project, "plan", *["manifests/shapes.yaml"] * 20)
    assert shown.stdout.splitlines()[-1] == "20 manifests, 20 models: 9 different steps, 0 of them cached"


def test_a_status_is_of_the_store_as_it_was_listed(tmp_path: Path) -> None:
    made, store = summary(), DiskStore(tmp_path / "store")
    steps = {step.name: step for step in made.plans[0].steps}
    store.record(StepResult(steps["ingest"].key, "ingest", (), {"seconds": 1.0}))
    out = tmp_path / "store" / "work" / hex_of(steps["train"].key) / "out" / "checkpoints"
    out.mkdir(parents=True)
    found = dict(zip(steps, Statuses(tmp_path / "store").of(made.plans[0].steps), strict=True))
    assert found["ingest"] == "cached"
    assert found["train"] == "to run: no result for this key"
    assert found["convert"] == "to run: needs export"
    (out / "3.checkpoint").write_text("")
    found = dict(zip(steps, Statuses(tmp_path / "store").of(made.plans[0].steps), strict=True))
    assert found["train"] == "to run: stopped before, goes on from its last checkpoint"
    text = PlanText(tmp_path / "store")
    assert "  cached" in text.of(made)
    assert text.total() == "1 manifests, 1 models: 9 different steps, 1 of them cached"


def test_steps_that_variants_share_stand_once(tmp_path: Path) -> None:
    lines = PlanText(tmp_path / "none").of(summary("shapes-width")).splitlines()
    assert [line.split()[0] for line in lines].count("ingest") == 1
    assert [line.split()[0] for line in lines].count("train") == 2
    assert lines[-1] == "  17 steps for 2 variants; built apart they would be 18"
