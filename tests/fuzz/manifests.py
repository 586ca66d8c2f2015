"""Mutated manifests: ``python -m tests.fuzz.manifests [N]``, 10,000 by default.

Two kinds: texts with bytes flipped, cut, doubled or swapped, and values drawn by hypothesis put at places where they
may not belong. Each must be read, or refused with diagnostics whose places lie in the text, within LONGEST seconds and
MOST_MEMORY bytes; anything else is printed with the text that did it, and the exit status is 1.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from builder.errors import InvalidManifest
from builder.manifest.load import loads
from builder.manifest.render import render
from builder.manifest.source import decode
from builder.starter import starter_text

LONGEST = 1.0
MOST_MEMORY = 200 << 20
FILE = "m.yaml"

_WORDS = [
    *("&a", "*a", "!!int", "<<: ", "---\n", "...\n", "%YAML 1.1\n", "? ", "- ", ": ", "{", "}", "[", "]", "|", ">"),
    *("no", "1:30", "0x1F", "1e999", ".nan", "-.inf", "1_000", "2024-01-01", "~", "null", "''", '"\\ud800"', "\t"),
    *("\u202e", "\ufeff", "\u2028", "\x00", "\x85", "../..", "/etc/passwd", "1" * 400, "[" * 200, "{a: " * 200),
]


def bases() -> list[str]:
    """Manifests that are valid, and together have every section."""
    manifests = sorted((Path(__file__).resolve().parents[2] / "manifests").glob("*.yaml"))
    rich = starter_text("owls").replace("init: none", "init: {release: owls@1.0.0, slice: true, min_coverage: 0.5}")
    several = (
        rich.replace("  depth_multiplier: 0.25", "  min_depth: 8")
        .replace("quantization: float32", "quantization: [float32, {type: int8, interface: uint8}, uint8-qat]")
        .replace("classes: [object]", "classes: [owl]\n  class_map: {Owl: owl}\n  drop_classes: [crow]")
    )
    several += "matrix: {model.depth_multiplier: [0.25, 0.5], train.seed: [1, 2, 3]}\nselect: {best: map50}\n"
    return [*(path.read_text(encoding="utf-8") for path in manifests), rich, several]


def mutated(random_: random.Random, text: str) -> bytes:
    """``text`` with one to five changes."""
    data = bytearray(text.encode())
    for _ in range(random_.randint(1, 5)):
        place, other = random_.randrange(len(data) + 1), random_.randrange(len(data) + 1)
        first, last = sorted((place, other))
        kind = random_.randrange(8)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << random_.randrange(8)
        elif kind == 1:
            data[place:place] = random_.choice(_WORDS).encode("utf-8", "surrogatepass")
        elif kind == 2:
            del data[first : min(last, first + random_.choice((1, 2, 10, 100)))]
        elif kind == 3:
            data[place:place] = data[first : min(last, first + 200)]
        elif kind == 4:
            data = data[: max(1, place)]
        else:
            lines = bytes(data).split(b"\n")
            line = random_.randrange(len(lines))
            if kind == 5:
                lines[line] = b" " * random_.randint(0, 6) + lines[line].lstrip()
            elif kind == 6:
                lines.insert(random_.randrange(len(lines)), lines[line])
            else:
                key, colon, _ = lines[line].partition(b":")
                lines[line] = key + colon + b" " + random_.choice(_WORDS).encode("utf-8", "surrogatepass")
            data = bytearray(b"\n".join(lines))
    return bytes(data)


def wrong_with(data: bytes) -> str | None:
    """What is wrong with the answer to the manifest ``data``; None if nothing is."""
    begun = time.perf_counter()
    try:
        loads(decode(data, FILE), FILE)
    except InvalidManifest as error:
        if problem := _wrong_with_places(error):
            return problem
        render(error.diagnostics, error.source)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - begun
    return f"took {seconds:.2f} s" if seconds > LONGEST else None


def _wrong_with_places(error: InvalidManifest) -> str | None:
    lines = error.source.split("\n") if error.source else [""]
    if not error.diagnostics:
        return "refused without a word"
    for item in error.diagnostics:
        span = item.span
        if span.file != FILE or not 1 <= span.line <= len(lines) + error.source.count("\r") or span.column < 1:
            return f"a place outside the text: {item}"
        # One past the end is the place of what is missing there.
        plain = error.source and "\r" not in error.source
        if plain and span.column + span.length - 1 > len(lines[span.line - 1]) + 1:
            return f"a span that goes on behind its line: {item}"
    return None


def misplaced(count: int) -> Iterator[bytes]:
    """Manifests with drawn values at drawn places, as JSON, which is YAML."""
    document = json.loads(_plain(bases()[-2]))
    paths = list(_paths(document))
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(_WORDS),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=10,
    )
    drawn: list[bytes] = []

    @seed(1)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.sampled_from(paths), values)
    def draw(path: tuple[Any, ...], value: Any) -> None:
        changed = json.loads(json.dumps(document))
        place = changed
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
        drawn.append(json.dumps(changed, ensure_ascii=False).encode("utf-8", "surrogatepass"))

    draw()
    yield from drawn


def _plain(text: str) -> str:
    from builder.manifest.nodes import parse

    root = parse(text, FILE).root
    assert root is not None
    return json.dumps(root.plain())


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def forget_peak_memory() -> None:
    """Starts the peak afresh: on first use hypothesis makes its table of Unicode, in more memory than any answer."""
    list(misplaced(1))
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Bytes, from VmHWM: ru_maxrss goes on from the parent's at exec and cannot start afresh."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def main(count: int) -> int:
    texts = bases()
    for text in texts:
        assert wrong_with(text.encode()) is None
    forget_peak_memory()
    random_, slowest, wrong = random.Random(1), 0.0, 0
    flipped = (mutated(random_, random_.choice(texts)) for _ in range(count - count // 2))
    tried = 0
    for source in (flipped, misplaced(count // 2)):
        for data in source:
            tried += 1
            begun = time.perf_counter()
            problem = wrong_with(data)
            slowest = max(slowest, time.perf_counter() - begun)
            if problem is not None:
                wrong += 1
                print(f"{problem}\n{data!r}\n")
    peak = peak_memory()
    print(f"{tried:,} manifests: {wrong} wrong answers, slowest {slowest:.3f} s, peak memory {peak >> 20} MB")
    return 1 if wrong or peak > MOST_MEMORY else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
