"""What a build amounts to is read on terminals of every width: its figures are whole."""

from __future__ import annotations

import pytest

from builder.cli.table import rows_told

ROWS = [
    ("shapes@1.0.0", "1.441 MB", "0.712", "0.941", "0.022", "0.3 ms", "released"),
    ("shapes-with-a-long-name@10.0.0", "12.441 MB", "0.713", "0.942", "0.023", "10.3 ms", "misses its budgets"),
]


@pytest.mark.parametrize(("width", "lines"), [(200, 3), (110, 3), (80, 14), (40, 14), (8, 14)])
def test_no_figure_is_cut_at_any_width(width: int, lines: int) -> None:
    told = rows_told(ROWS, width)
    assert len(told) == lines
    for row in ROWS:
        assert all(text in "\n".join(told) for text in row)


def test_elsewhere_than_on_a_terminal_there_is_always_a_table() -> None:
    heading, first, second = rows_told(ROWS, None)
    assert heading.split() == ["release", "size", "mAP", "mAP@0.5", "constant", "box", "latency"]
    assert [heading.index("latency") + len("latency"), len(second)] == [first.index("ms") + 2, len(second.rstrip())]


def test_a_narrow_terminal_gets_a_figure_a_line() -> None:
    assert [line.split() for line in rows_told(ROWS[:1], 30)] == [
        ["shapes@1.0.0"], ["size", "1.441", "MB"], ["mAP", "0.712"], ["mAP@0.5", "0.941"],
        ["constant", "box", "0.022"], ["latency", "0.3", "ms"], ["released"],
    ]  # fmt: skip
