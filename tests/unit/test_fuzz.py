"""The fuzzers themselves, briefly: ``make fuzz`` runs them at length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("name", "count"), [("manifests", 400), ("inputs", 120), ("archives", 300), ("parsers", 6000)])
def test_mutated_input_ends_well(name: str, count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"tests.fuzz.{name}", str(count)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = (f"{count:,} mutated", f"{count:,} manifests: 0 wrong", "read by both parsers, 0 differently")
    assert any(text in done.stdout for text in said)
