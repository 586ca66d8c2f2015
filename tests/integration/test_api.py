"""The trainer's own losses, targets and crops are those of the Object Detection API."""

from __future__ import annotations

import pytest

from tests.integration.conftest import in_toolchain

pytestmark = pytest.mark.toolchain


def test_mined_losses_targets_and_crops_are_the_apis() -> None:
    found = in_toolchain("api_checks.py")

    assert found["positives"] > 50
    # Targets, the choice of negatives and both sums; suppression at an overlap of 0.99 leaves all of these boxes.
    assert found["loss"] < 1e-6
    assert found["gradient"] < 1e-6
    # Kolmogorov and Smirnov: with 3,000 crops each, equal distributions are 0.05 apart in one of a thousand cases.
    assert max(found["crops"].values()) < 0.05
