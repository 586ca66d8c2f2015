"""The step that makes the .tflite gives the same bytes when it runs again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builder.build import run_step
from builder.cli.load import load_planned
from builder.engine.local import LocalEngine
from builder.store.disk import DiskStore
from tests.fakes import Events

pytestmark = pytest.mark.toolchain


@pytest.mark.parametrize("quantization", ["float16", "dynamic"])
def test_a_second_conversion_gives_the_same_bytes(
    quantization: str, quantized: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the types whose parts the converter leaves in another order in every process."""
    monkeypatch.chdir(quantized[0])
    (planned,) = load_planned([Path("manifests/q.yaml")])
    (plan,) = [plan for plan in planned.plans if plan.step("convert").params["quantization"]["type"] == quantization]
    step, store = plan.step("convert"), DiskStore(Path(".tinsmith/store"))
    results = {taken.step: store.lookup(plan.step(taken.step).key) for taken in step.inputs if taken.step}
    assert set(results) == {"export"} and None not in results.values()
    first = store.lookup(step.key)
    again = run_step(step, tmp_path, planned.code, Path, results, store, LocalEngine(), Events())
    assert first is not None and again.artifact("model.tflite") == first.artifact("model.tflite")
