"""What a build amounts to is read on terminals of every width: its figures are whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from builder.cli.table import print_rows

ROWS = [
    ("shapes@1.0.0", "1.441 MB", "0.712", "0.941", "0.022", "0.3 ms", "released"),
    ("shapes-with-a-long-name@10.0.0", "12.441 MB", "0.713", "0.942", "0.023", "10.3 ms", "misses its budgets"),
]


@pytest.mark.parametrize(("width", "lines"), [(200, 3), (110, 3), (80, 14), (40, 14), (8, 14)])
def test_no_figure_is_cut_at_any_width(width: int, lines: int) -> None:
    stream = io.StringIO()
    print_rows(Console(file=stream, width=width, highlight=False), ROWS)
    told = stream.getvalue()
    assert "…" not in told and len(told.splitlines()) == lines
    for row in ROWS:
        assert all(text in told for text in row)


def test_a_narrow_terminal_gets_a_figure_a_line() -> None:
    stream = io.StringIO()
    print_rows(Console(file=stream, width=30, highlight=False), ROWS[:1])
    assert [line.split() for line in stream.getvalue().splitlines()] == [
        ["shapes@1.0.0"], ["size", "1.441", "MB"], ["mAP", "0.712"], ["mAP@0.5", "0.941"],
        ["constant", "box", "0.022"], ["latency", "0.3", "ms"], ["released"],
    ]  # fmt: skip
