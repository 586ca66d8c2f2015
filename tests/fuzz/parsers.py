"""The two readers of YAML held against each other: ``python -m tests.fuzz.parsers [N]``, 100,000 texts by default.

Manifests and locks with mutations, and short texts put together of what YAML gives a meaning to. Whatever
``manifest.unplaced`` makes of a text, ``manifest.nodes`` must make of it too, with no problem; a text where it does not
is printed, and the exit status is 1.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder.errors import InvalidManifest
from builder.manifest.nodes import parse
from builder.manifest.source import decode
from builder.manifest.unplaced import unplaced
from tests.fuzz.manifests import FILE, bases, mutated

_PARTS = [
    *("a", "b", "ab", "1", "1.5", "é", "😀", "no", "a b", "a:b", "a#b", "http://a/b", "-1", "x-y", "~", "1e3", "日本"),
    *(" ", " ", " ", "  ", "   ", "\n", "\n", "\n", "\n", "\n\n", "\n  ", "\n  ", "\n    ", "\n- ", "\n  - "),
    *(": ", ": ", ": ", ":", ":\n  ", "- ", "-", "--", ",", ", ", "[", "]", "{", "}", "[]", "{}", "[a, b]", "{a: b}"),
    *("#", " #", " # a", "'", '"', "''", '""', "'a'", '"b"', "'a: b'", '"a # b"', "'it''s'", "a: ", "b: ", "c: "),
    *("?", "!", "&", "*", "|", ">", "%", "@", "`", "=", "<<", "...", "\t", "\r", "\\", "\u00a0", "\u3000"),
]


def texts(count: int, random_: random.Random) -> Iterator[bytes]:
    """What is read, half of each kind."""
    folder = Path(__file__).resolve().parents[2] / "manifests"
    whole = [*bases(), *(path.read_text() for path in sorted(folder.glob("*.lock")))]
    yield from (text.encode() for text in whole)
    for _ in range(count // 2):
        yield mutated(random_, random_.choice(whole))
        yield "".join(random_.choices(_PARTS, k=random_.randint(1, 25))).encode()


def differing(data: bytes) -> tuple[bool, str | None]:
    """Whether the quick reader answered, and how its answer differs from the other's; None if it does not."""
    try:
        text = decode(data, FILE)
    except InvalidManifest:
        return False, None
    quick = unplaced(text)
    if quick is None:
        return False, None
    document = parse(text, FILE)
    if document.root is None or document.problems:
        return True, f"read as {quick!r}, where there is {document.problems}"
    exact = document.root.plain()
    return True, None if _same(quick, exact) else f"read as {quick!r}, which is {exact!r}"


def _same(one: Any, other: Any) -> bool:
    """Equal, with types and the order of keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def main(count: int, seed: int = 1) -> int:
    tried, answered, wrong = 0, 0, 0
    for data in texts(count, random.Random(seed)):
        read, difference = differing(data)
        tried, answered = tried + 1, answered + read
        if difference is not None:
            wrong += 1
            print(f"{data!r}\n  {difference:.500}\n")
    print(f"{tried:,} texts: {answered:,} read by both parsers, {wrong} differently")
    return 1 if wrong or not answered else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) if len(sys.argv) > 1 else main(100_000))
