"""A training that has run away stops with its step and a hint."""

import contract
import divergence
import numpy as np
import pytest


@pytest.mark.parametrize(("loss", "said"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
def test_a_loss_that_is_no_number_stops_training_with_its_step_and_a_hint(loss, said):
    with pytest.raises(contract.Failure) as caught:
        divergence.Losses().check(loss, 120, 0.5)
    assert caught.value.code == "diverged"
    assert caught.value.message == f"loss is {said} at step 120"
    assert "learning_rate.base" in caught.value.help and "0.5" in caught.value.help


def follow(losses, rows=()):
    watched = divergence.Losses(rows)
    for step, loss in enumerate(losses, len(rows) + 1):
        watched.check(loss, step, 0.5)


def test_a_large_loss_goes_on_and_so_does_a_single_odd_batch():
    follow([1e30] * 60)
    follow([16.0] * 20 + [2.0] * 30 + [25.0] + [2.0] * 30)


def test_a_loss_that_stays_ten_times_as_high_stops_training():
    falling, high = [16.0] * 20 + [0.5] * 30, [40.0] * 30
    with pytest.raises(contract.Failure) as caught:
        follow(falling + high)
    assert caught.value.code == "diverged" and "loss grows" in caught.value.message
    # The same, from a checkpoint on.
    with pytest.raises(contract.Failure) as again:
        follow(high, [{"loss": loss} for loss in falling])
    assert again.value.message == caught.value.message


def test_a_loss_below_the_first_ones_has_not_exploded():
    follow([16.0] * 20 + [0.1] * 30 + [2.0] * 60)


def test_a_weight_that_is_no_number_is_named():
    divergence.check_weights({"a": np.ones(3, np.float32), "b": np.float32(0)}, 9)
    with pytest.raises(contract.Failure, match="b/kernel is not finite after step 9"):
        divergence.check_weights({"a": np.ones(3), "b/kernel": np.array([1.0, np.inf])}, 9)
