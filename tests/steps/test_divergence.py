"""A training that has run away stops with its step and a hint."""

import contract
import divergence
import numpy as np
import pytest


@pytest.mark.parametrize(("loss", "said"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
def test_a_loss_that_is_no_number_stops_training_with_its_step_and_a_hint(loss, said):
    with pytest.raises(contract.Failure) as caught:
        divergence.check_loss(loss, 120, 0.5)
    assert caught.value.code == "diverged"
    assert caught.value.message == f"loss is {said} at step 120"
    assert "learning_rate.base" in caught.value.help and "0.5" in caught.value.help


def test_a_large_loss_goes_on():
    divergence.check_loss(1e30, 1, 0.5)


def test_a_weight_that_is_no_number_is_named():
    divergence.check_weights({"a": np.ones(3, np.float32), "b": np.float32(0)}, 9)
    with pytest.raises(contract.Failure, match="b/kernel is not finite after step 9"):
        divergence.check_weights({"a": np.ones(3), "b/kernel": np.array([1.0, np.inf])}, 9)
