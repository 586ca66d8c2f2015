"""The strict YAML reader: what it takes, what it refuses, and where it says so."""

from __future__ import annotations

import pytest

from builder.errors import InvalidManifest
from builder.manifest.nodes import parse
from builder.manifest.scalars import Refused, resolve
from builder.manifest.source import LARGEST_BYTES, check, decode


def problems(text: str) -> list[tuple[str, int, int]]:
    return [(item.code, item.span.line, item.span.column) for item in parse(text, "m.yaml").problems]


def test_plain_data_of_every_kind() -> None:
    root = parse("a: 1\nb: [1.5, text, 'quoted', true, ~]\nc: {d: 1.0.0}\ne: 1e-8\n", "m.yaml").root
    assert root is not None
    assert root.plain() == {
        "a": 1,
        "b": [1.5, "text", "quoted", True, None],
        "c": {"d": "1.0.0"},
        "e": 1e-8,
    }


@pytest.mark.parametrize(
    "word", ["yes", "No", "ON", "y", "010", "0x1F", "1_000", "12:30", "2024-01-31", ".inf", ".NaN"]
)
def test_words_that_yaml_versions_read_differently_are_refused(word: str) -> None:
    assert isinstance(resolve(word), Refused)


@pytest.mark.parametrize("word", ["1e999", "9" * 30])
def test_numbers_too_large_to_keep_are_refused(word: str) -> None:
    found = resolve(word)
    assert isinstance(found, Refused) and found.code == "out-of-range"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1", ("unsupported-syntax", 1, 4)),
        ("a: 1\nb: *x", ("unsupported-syntax", 2, 4)),
        ("a: !!str 1", ("unsupported-syntax", 1, 4)),
        ("a: !!python/object:os.system x", ("unsupported-syntax", 1, 4)),
        ("<<: {a: 1}", ("unsupported-syntax", 1, 1)),
        ("%YAML 1.1\n---\na: 1", ("unsupported-syntax", 1, 1)),
        ("a: 1\n---\nb: 1", ("unsupported-syntax", 2, 1)),
        ("a: " + "[" * 40, ("unsupported-syntax", 1, 36)),
        ("a: 1\nb: 2\na: 3", ("duplicate-key", 3, 1)),
        ("a: {b: 1, b: 2}", ("duplicate-key", 1, 11)),
        ("1: a", ("non-string-key", 1, 1)),
        ("yes: a", ("non-string-key", 1, 1)),
        ("? [a, b]\n: c", ("non-string-key", 1, 3)),
        ("a: [1, 2\nb: 3", ("syntax", 2, 2)),
        ("a:\n\tb: 1", ("syntax", 2, 1)),
        ('a: "\\ud800"', ("syntax", 1, 4)),
        ("a: b: c", ("syntax", 1, 5)),
        ("a: @x", ("syntax", 1, 4)),
        ("a: .nan", ("out-of-range", 1, 4)),
        ("a: off", ("ambiguous-value", 1, 4)),
    ],
)
def test_each_refusal_has_its_code_and_place(text: str, expected: tuple[str, int, int]) -> None:
    assert expected in problems(text)


def test_a_hundred_million_laughs_are_not_expanded() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    assert {code for code, _, _ in problems(bomb)} == {"unsupported-syntax"}


def test_positions_count_characters_not_bytes() -> None:
    assert ("ambiguous-value", 1, 10) in problems("é🦝日: [a, yes]")


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b"a: 1\nb: \xff", "encoding", 2, 4),
        (b"a: \x00", "syntax", 1, 4),
        (b"a: 1\nb: \xe2\x80\xae1", "syntax", 2, 4),
        (b"a: 1\r\nb: 2\r\nc: \x07", "syntax", 3, 4),
        (b"#" * (LARGEST_BYTES + 1), "too-large", 1, 1),
    ],
)
def test_bad_bytes(data: bytes, code: str, line: int, column: int) -> None:
    with pytest.raises(InvalidManifest) as caught:
        decode(data, "m.yaml")
    (item,) = caught.value.diagnostics
    assert (item.code, item.span.line, item.span.column) == (code, line, column)


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert decode(b"\xef\xbb\xbfa: 1", "m.yaml") == "a: 1"


def test_windows_line_ends_are_text() -> None:
    assert check("a: 1\r\nb: 2\r\n", "m.yaml") and problems("a: 1\r\nb: yes\r\n") == [("ambiguous-value", 2, 4)]
