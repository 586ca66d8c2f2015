"""Semantic versions and ranges over them, as npm and cargo read them. Pure.

Sources: Semantic Versioning 2.0.0 (precedence, section 11); the range grammar of npm's node-semver README, of which
this reads comparators, ``^``, ``~``, ``x`` and their conjunction.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from builder.errors import UsageError

_NUMBER = r"(?:0|[1-9][0-9]{0,15})"
_PRE = r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
_VERSION = re.compile(rf"(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER}){_PRE}", re.ASCII)
_ANY = rf"(?:{_NUMBER}|[xX*])"
_COMPARATOR = re.compile(
    rf"(?P<sign>\^|~|>=|<=|>|<|=|)\s*(?P<major>{_ANY})(?:\.(?P<minor>{_ANY}))?(?:\.(?P<patch>{_ANY}){_PRE})?", re.ASCII
)
_LONGEST = 200

Item = TypeVar("Item")
HELP = "such as ^1.2, ~1.2.3, 1.x, '>=1.0 <2' or 1.2.3"


@functools.total_ordering
@dataclass(frozen=True)
class Version:
    """``pre`` holds the dot-separated words after the ``-``. Ordered by precedence."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers)) + ("-" + ".".join(self.pre) if self.pre else "")

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[object, ...]:
        # Numbers come before words, fewer words before more, and a release after its pre-releases.
        words = tuple((0, int(word), "") if word.isdecimal() else (1, 0, word) for word in self.pre)
        return (*self.numbers, not self.pre, words)


def parse_version(text: str) -> Version | None:
    """``text`` as a version without build metadata; None if it is none (a tag may be anything)."""
    found = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    pre = tuple(found["pre"].split(".")) if found["pre"] else ()
    if any(word.isdecimal() and word != str(int(word)) for word in pre):
        return None  # leading zeros
    return Version(int(found["major"]), int(found["minor"]), int(found["patch"]), pre)


def newest(named: Sequence[tuple[str, Item]]) -> Item | None:
    """What has the highest version, of pairs of a version and what is called so; None if there are no pairs.

    Pre-releases are chosen only where nothing else is, and what is no semantic version after them, the last of those.
    """
    ranked = []
    for place, (text, _) in enumerate(named):
        version = parse_version(text)
        rank = 0 if version is None else 1 if version.pre else 2
        ranked.append((rank, version or Version(0, 0, 0), place))
    return named[max(ranked)[2]][1] if ranked else None


@dataclass(frozen=True)
class Range:
    """All of ``bounds``, pairs of one of ``>= > < <=`` and a version, must hold."""

    text: str
    bounds: tuple[tuple[str, Version], ...]

    @property
    def exact(self) -> Version | None:
        """The only version that is meant, if there is only one."""
        return parse_version(self.text.removeprefix("="))

    def allows(self, version: Version) -> bool:
        """A pre-release is allowed only by a range that names a pre-release of the same three numbers."""
        if version.pre and not any(bound.pre and bound.numbers == version.numbers for _, bound in self.bounds):
            return False
        return all(_HOLDS[sign](version, bound) for sign, bound in self.bounds)

    def best(self, versions: Iterable[Version]) -> Version | None:
        """The newest of ``versions`` that is allowed."""
        return max((version for version in versions if self.allows(version)), default=None)


_HOLDS = {
    ">=": lambda version, bound: version >= bound,
    ">": lambda version, bound: version > bound,
    "<=": lambda version, bound: version <= bound,
    "<": lambda version, bound: version < bound,
}


def parse_range(text: str) -> Range:
    """UsageError if ``text`` is no range. Spaces and commas both mean 'and'."""
    bounds: list[tuple[str, Version]] = []
    rest = text.strip()
    if not rest or len(rest) > _LONGEST:
        raise _no_range(text)
    while rest:
        found = _COMPARATOR.match(rest)
        if found is None or (found.end() < len(rest) and rest[found.end()] not in " ,"):
            raise _no_range(text)
        bounds += _bounds(found, text)
        rest = rest[found.end() :].lstrip(" ,")
    return Range(text.strip(), tuple(bounds))


ANY = Range("*", ())


def _bounds(found: re.Match[str], text: str) -> Iterator[tuple[str, Version]]:
    numbers: list[int] = []
    for name in ("major", "minor", "patch"):
        if found[name] is None or found[name] in "xX*":
            break
        numbers.append(int(found[name]))
    whole = len(numbers) == 3
    if found["pre"] and (not whole or parse_version(f"0.0.0-{found['pre']}") is None):
        raise _no_range(text)
    pre = tuple(found["pre"].split(".")) if found["pre"] else ()
    low = _filled(numbers, pre)
    sign = found["sign"]
    if not numbers:
        if sign in ("<", ">"):
            raise _no_range(text)  # nothing is outside of everything
        return
    if sign == "^":
        # The first number that is not zero may not change.
        place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
        yield from ((">=", low), ("<", _next(numbers, place)))
    elif sign == "~":
        yield from ((">=", low), ("<", _next(numbers, min(1, len(numbers) - 1))))
    elif sign in ("", "="):
        yield from ((">=", low), ("<=", low) if whole else ("<", _next(numbers, len(numbers) - 1)))
    elif whole or sign in (">=", "<"):
        yield sign, low
    else:  # >1.2 begins at 1.3.0, <=1.2 ends before it
        yield ">=" if sign == ">" else "<", _next(numbers, len(numbers) - 1)


def _filled(numbers: list[int], pre: tuple[str, ...] = ()) -> Version:
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return Version(major, minor, patch, pre)


def _next(numbers: list[int], place: int) -> Version:
    return _filled([*numbers[:place], numbers[place] + 1])


def _no_range(text: str) -> UsageError:
    return UsageError(f"{text[:100]!a} is neither a version nor a range of versions", help=HELP)
