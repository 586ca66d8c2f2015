from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.progress.series import ASCII_BLOCKS, BLOCKS, Series, spark


def test_a_falling_loss_is_a_falling_curve_and_a_factor_is_a_step() -> None:
    assert spark([2.0**-number for number in range(8)], 8) == BLOCKS[::-1]


def test_values_that_are_not_all_positive_are_drawn_as_they_are() -> None:
    assert spark([0, 1, 2, 3, 4, 5, 6, 7], 8) == BLOCKS
    assert spark([-7, 0], 8) == BLOCKS[0] + BLOCKS[-1]


def test_more_values_than_room_become_means_in_order() -> None:
    assert spark([0, 0, 0, 7, 7, 7], 2) == BLOCKS[0] + BLOCKS[-1]
    # One value far from the others is part of its block's mean, and nowhere else.
    assert spark([0.0] * 50 + [70.0] + [0.0] * 49, 10) == BLOCKS[0] * 5 + BLOCKS[-1] + BLOCKS[0] * 4


def test_a_curve_that_does_not_move_is_drawn_in_the_middle() -> None:
    assert spark([3.0, 3.0, 3.0], 10) == BLOCKS[3] * 3


@pytest.mark.parametrize(("values", "width"), [([], 8), ([1.0], 0), ([math.nan, math.inf], 8)])
def test_nothing_to_draw(values: list[float], width: int) -> None:
    assert spark(values, width) == ""


@given(st.lists(st.floats(), max_size=300), st.integers(-1, 50))
def test_whatever_comes_it_is_blocks_and_no_wider_than_asked(values: list[float], width: int) -> None:
    drawn = spark(values, width, ASCII_BLOCKS)
    assert set(drawn) <= set(ASCII_BLOCKS)
    assert len(drawn) == max(0, min(width, sum(abs(value) < 1e100 for value in values)))


@pytest.mark.parametrize("count", [1, 511, 512, 513, 100_003])
def test_a_series_keeps_the_whole_curve_in_bounded_memory(count: int) -> None:
    series = Series()
    for number in range(count):
        series.add(float(number))
    values = series.values
    assert len(values) <= 512
    # Neighbours are equally far apart, but for the last, which is of what is left over.
    steps = {later - earlier for earlier, later in itertools.pairwise(values[:-1])}
    assert len(steps) <= 1
    assert values[0] == (steps.pop() - 1 if steps else 0) / 2
    assert count - 1 - values[-1] <= count / 512
