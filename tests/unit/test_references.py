"""What names a release elsewhere: references, versions and ranges of versions."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.registry.reference import (
    Folder,
    Local,
    Named,
    Remote,
    is_reference,
    parse_reference,
    parse_release,
    variant_of,
)
from builder.versions import ANY, Version, parse_range, parse_version

DIGEST = "sha256:" + "ab" * 32


def test_versions_are_ordered_by_precedence() -> None:
    ordered = ["0.9.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-a", "1.0.0-a.1", "1.0.0-b", "1.0.0", "1.0.1", "1.10.0"]
    parsed = [parse_version(text) for text in ordered]
    assert None not in parsed
    shuffled = random.Random(1).sample(parsed, len(parsed))
    assert sorted(shuffled) == parsed  # type: ignore[type-var]
    assert [str(version) for version in parsed] == ordered


@pytest.mark.parametrize(
    "text", ["1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-01", "1.2.3-", "1.2.3+x", "v1.2.3", "latest", "١.2.3"]
)
def test_what_is_no_version(text: str) -> None:
    assert parse_version(text) is None


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("^1.2", "1.2.0 1.2.9 1.99.0", "1.1.9 2.0.0 2.0.0-rc.1 1.3.0-rc.1"),
        ("^1.2.3", "1.2.3 1.3.0", "1.2.2 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.2 0.0.4"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.0 0.9.9", "1.0.0"),
        ("^1.x", "1.0.0 1.9.0", "2.0.0 0.9.0"),
        ("^1.0.0-rc.2", "1.0.0-rc.2 1.0.0-rc.10 1.0.0 1.4.0", "1.0.0-rc.1 1.1.0-rc.1 2.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0"),
        ("~1", "1.0.0 1.9.0", "2.0.0"),
        ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.0 1.5.0-rc.1"),
        ("1.2.*", "1.2.0 1.2.7", "1.3.0"),
        ("1", "1.0.0 1.9.9", "2.0.0"),
        ("1.2.3", "1.2.3", "1.2.4 1.2.3-rc.1"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        (">=1.0 <2", "1.0.0 1.9.9", "2.0.0 0.9.9 2.0.0-rc.1"),
        (">=1.0,<2", "1.0.0 1.9.9", "2.0.0"),
        (">1.2", "1.3.0 2.0.0", "1.2.0 1.2.9"),
        ("<=1.2", "1.2.9 0.1.0", "1.3.0"),
        (">= 1.2.3", "1.2.3 9.0.0", "1.2.2"),
        ("*", "0.0.0 9.9.9", "1.0.0-rc.1"),
    ],
)  # fmt: skip
def test_ranges(text: str, inside: str, outside: str) -> None:
    found = parse_range(text)
    for version, expected in [*((each, True) for each in inside.split()), *((each, False) for each in outside.split())]:
        parsed = parse_version(version)
        assert parsed is not None and found.allows(parsed) == expected, version


@pytest.mark.parametrize(
    "text", ["", " ", "latest", "^", "1.2.3.4", "^1.2-rc", "1.2.3-01", ">*", "1.2 || 2", "1,,x y", "~>1", "1" * 300]
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(UsageError):
        parse_range(text)


@given(st.tuples(*[st.integers(0, 5)] * 3), st.tuples(*[st.integers(0, 5)] * 3))
def test_a_caret_keeps_the_first_number_that_is_not_zero(
    low: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    place = next((index for index, number in enumerate(low) if number), 2)
    expected = other >= low and other[: place + 1] == low[: place + 1]
    assert parse_range("^" + ".".join(map(str, low))).allows(Version(*other)) == expected


def test_the_best_of_a_range() -> None:
    known = [Version(1, 2, 0), Version(1, 10, 0), Version(1, 11, 0, ("rc",)), Version(2, 0, 0)]
    assert parse_range("^1.2").best(known) == Version(1, 10, 0)
    assert ANY.best(known) == Version(2, 0, 0)
    assert parse_range("^3").best(known) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:5000/a/b:1.0.0", Remote("localhost:5000", "a/b", "1.0.0")),
        ("reg.example.org/raccoon", Remote("reg.example.org", "raccoon")),
        (f"reg.example.org/a/b@{DIGEST}", Remote("reg.example.org", "a/b", None, Named(digest=DIGEST))),  # type: ignore[arg-type]
        (f"reg.example.org/a:1.0.0@{DIGEST}", Remote("reg.example.org", "a", "1.0.0", Named(digest=DIGEST))),  # type: ignore[arg-type]
        ("reg.example.org/a@^1.2", Remote("reg.example.org", "a", None, Named(versions=parse_range("^1.2")))),
        ("reg.example.org/a@>=1 <2", Remote("reg.example.org", "a", None, Named(versions=parse_range(">=1 <2")))),
        ("[::1]:5000/a:x", Remote("[::1]:5000", "a", "x")),
        ("localhost/a", Remote("localhost", "a")),
        ("./mirror", Folder(Path("mirror"))),
        ("../a.b/mirror:raccoon", Folder(Path("../a.b/mirror"), "raccoon")),
        ("/srv/mirror:raccoon@~1.2", Folder(Path("/srv/mirror"), "raccoon", Named(versions=parse_range("~1.2")))),
        ("./mirror:raccoon:1.0.0", Folder(Path("mirror"), "raccoon", Named(versions=parse_range("1.0.0")))),
        ("models/raccoon", Folder(Path("models/raccoon"))),
        (".", Folder(Path())),
    ],
)  # fmt: skip
def test_references(text: str, expected: Remote | Folder) -> None:
    assert is_reference(text)
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "raccoon", "reg.example.org/", "reg.example.org/A", "reg.example.org/a//b", "reg.example.org/../b",
        "reg.example.org/a:", "reg.example.org/a:-x", "reg.example.org/a@sha256:12", "reg.example.org/a@latest",
        "reg.example.org/a:1.0.0@^1", "user@reg.example.org:x/a", "reg.example.org:99999999/a", "reg.example.org/a?x=1",
        "a.b/c\n", "./x:",
    ],
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


@given(st.text("abA1.:/@^~<>=*x-_ \x00é", max_size=40))
def test_any_text_is_a_reference_or_a_usage_error(text: str) -> None:
    for parse in (parse_reference, parse_release):
        try:
            parse(text)
        except UsageError as error:
            assert error.message


def test_releases_and_variants() -> None:
    assert parse_release("raccoon") == Local("raccoon")
    assert parse_release("raccoon:1.0.0") == parse_release("raccoon@1.0.0")
    assert parse_release(DIGEST) == Local("", Named(digest=DIGEST))  # type: ignore[arg-type]
    assert variant_of(parse_release("raccoon@^1.2"), "int8") == parse_release("raccoon-int8@^1.2")
    remote = variant_of(parse_reference("localhost/a/raccoon:1.0.0"), "d050-int8")
    assert remote == Remote("localhost", "a/raccoon-d050-int8", "1.0.0")
    for reference, variant in (
        (parse_release(DIGEST), "int8"),
        (parse_release("raccoon"), "../x"),
        (parse_reference("./x"), "int8"),
    ):
        with pytest.raises(UsageError):
            variant_of(reference, variant)
