"""A curve in a line of text: values gathered in bounded memory, and drawn as blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = ".:-=+*#@"

_KEPT = 256
_LARGEST = 1e100


class Series:
    """Values in their order, however many: once there are ``2 * _KEPT``, each two neighbours become their mean."""

    def __init__(self) -> None:
        self._means: list[float] = []
        self._each = 1  # values that a mean is of
        self._sum, self._count = 0.0, 0

    def add(self, value: float) -> None:
        self._sum += value
        self._count += 1
        if self._count < self._each:
            return
        self._means.append(self._sum / self._count)
        self._sum, self._count = 0.0, 0
        if len(self._means) == 2 * _KEPT:
            self._means = [(one + other) / 2 for one, other in zip(self._means[::2], self._means[1::2], strict=True)]
            self._each *= 2

    @property
    def values(self) -> list[float]:
        """The means; the last is of the values that have come since the one before."""
        return [*self._means, self._sum / self._count] if self._count else list(self._means)


def spark(values: Sequence[float], width: int, blocks: str = BLOCKS) -> str:
    """``values`` as at most ``width`` signs of ``blocks``, lowest first; of several values in one sign their mean.

    Values that are all positive are drawn by their logarithm: a loss falls by a factor, and on a linear scale its first
    steps would press all others flat. A curve that does not move is drawn in the middle.
    """
    values = [value for value in values if abs(value) < _LARGEST]  # which no NaN is either
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    edges = [index * len(values) // count for index in range(count + 1)]
    means = [math.fsum(values[start:end]) / (end - start) for start, end in itertools.pairwise(edges)]
    if min(means) > 0:
        means = [math.log(mean) for mean in means]
    least, most = min(means), max(means)
    if most == least:
        return blocks[len(blocks) // 2 - 1] * count
    scale = (len(blocks) - 1) / (most - least)
    return "".join(blocks[min(len(blocks) - 1, round((mean - least) * scale))] for mean in means)
