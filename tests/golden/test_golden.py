from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.write import ROOT, document, golden_of, manifests


@pytest.mark.parametrize("path", manifests(), ids=lambda path: path.stem)
def test_the_shipped_manifests_plan_to_the_golden_keys(path: Path) -> None:
    assert document(path) == golden_of(path).read_text(), "if the change is meant, run: make golden"


@pytest.mark.parametrize("path", manifests(), ids=lambda path: path.stem)
def test_plans_are_the_same_bytes_in_another_process_time_and_place(path: Path, tmp_path: Path) -> None:
    def plan(seed: str, zone: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-c", "from builder.cli import main; main()", "plan", str(path), "--json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "TZ": zone, "LANG": "C"},
            check=True,
            capture_output=True,
        ).stdout

    assert plan("1", "UTC") == plan("2", "Asia/Tokyo")
