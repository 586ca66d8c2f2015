"""What a manifest can say of a training beyond its length, in the real toolchain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import in_toolchain, step_python

pytestmark = pytest.mark.toolchain


def test_averages_looks_and_the_best_weights_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    found = in_toolchain("training_checks.py", str(tmp_path))

    assert found["average"] < 1e-6
    assert [step for step, _ in found["looks"]] == [2, 4, 6, 8, 10]
    best = max(figure for _, figure in found["looks"])
    assert found["kept"] == next(step for step, figure in found["looks"] if figure == best)
    assert len(found["same"]) == 5, "a training that went on from its middle ended elsewhere"
    assert "going on from step 5" in found["messages"]
    assert f"taking the weights of step {found['kept']}, the best" in found["messages"]
    assert any("pictures held out of training" in text for text in found["messages"])


def test_no_clock_decides_how_a_graph_is_optimised() -> None:
    """A busy machine would train other bits: TensorFlow gives up on the rest of its optimisations after a while."""
    script = (
        "import frozen, kernels\n"
        "for config in (kernels.session_config(), frozen.session_config(1)):\n"
        "    print(config.graph_options.rewrite_options.meta_optimizer_timeout_ms)"
    )
    assert step_python("-c", script).split() == ["-1", "-1"]
