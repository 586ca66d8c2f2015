"""The quick reader of YAML: where it answers, it says what the exact one says. At length: ``tests.fuzz.parsers``."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import InvalidManifest
from builder.manifest import unplaced as quick
from builder.manifest.load import loads
from builder.manifest.nodes import parse
from builder.manifest.unplaced import node_of, unplaced
from tests.fuzz.parsers import differing

ROOT = Path(__file__).resolve().parents[2]
FILES = [path for ending in ("yaml", "lock") for path in sorted((ROOT / "manifests").glob(f"*.{ending}"))]
SHAPES = (ROOT / "manifests" / "shapes.yaml").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_reads_what_tinsmith_ships_with(path: Path) -> None:
    text = path.read_text()
    exact = parse(text, path.name).root
    assert exact is not None
    assert unplaced(text) == exact.plain()
    assert differing(text.encode()) == (True, None)
    assert node_of(exact.plain()).plain() == exact.plain()


@pytest.mark.parametrize(
    "text",
    [
        *("a: &b 1", "a: *b", "a: !!str 1", "a: !b", "a: |\n  b", "a: >\n  b", "? a", "%YAML 1.2\n---\na: 1", "--- a"),
        *("a: 1\n---\nb: 2", "a: 1\n...", 'a: "\\u0041"', "a:\t1", "a: 1\r\nb: 2", "a: @b", "a: `b", "a: [%b]"),
        *("<<: 1", "1: a", "~: a", "no: a", "a: no", "a: 0x1F", "a: 2024-01-01", "a: .nan", "a: 1e999", "a:", "a: ~"),
        *("a: 1\na: 2", "[a]: b", "{a: b}: c", "a: [", "a: ]", "a: b: c", "'a", "- a\nb", "", "# a", "[1, [2, ~]]"),
        *("[" * 40 + "]" * 40, "a: [" + "1, " * 15_000 + "1]"),
    ],
    ids=lambda text: text[:20],
)
def test_it_leaves_the_rare_and_the_wrong_to_the_exact_one(text: str) -> None:
    assert unplaced(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("a: b", "a: 'no'", 'a: "1"', "a: ''", "a: b c # d", "a: b#c", "a: http://b/c", "a: 'it''s'", "a: R&D"),
        *(
            "# what? 90 % of *all*\na: 1 # >= 0",
            'a: ["**/*.jpg"]',
            "a:\n- b\n- c",
            "a: {b: [1, 2.5], c: true}",
            "a: é😀",
        ),
        *(
            "a: b\n  c",
            "a: 'b\n\n  c'",
            "'a b': 1",
            '"a": 1',
            "[a, b]",
            "a",
            "1.5",
            "a: 1.5 MB",
            "-1",
            "{}",
            "[]",
        ),
    ],
    ids=repr,
)
def test_it_answers_for_what_people_write(text: str) -> None:
    assert differing(text.encode()) == (True, None)


@pytest.mark.parametrize(
    "change",
    [
        ("steps: 800", "steps: none"),
        ("seed: 1\n", "seed: 1\n  seeds: 2\n"),
        ("version: 1.0.0\n", ""),
        ("quantization: float32", "quantization: [float32, float32, int4]"),
        ("min_map50: 0.80", "min_map50: 80"),
        ("max_map_drop", "max_quant_drop"),
        ("  depth_multiplier: 0.25", "  depth_multiplier:"),
        ("format: synthetic", "format: synthetics"),
        ("name: shapes", "name: shapes\nselect: budgets"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_the_same_with_and_without_it(
    change: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SHAPES.replace(*change)
    assert text != SHAPES
    told = []
    for parser in (quick.CParser, None):
        monkeypatch.setattr(quick, "CParser", parser)
        with pytest.raises(InvalidManifest) as caught:
            loads(text, "m.yaml")
        told.append((caught.value.diagnostics, caught.value.source))
    assert told[0] == told[1]


def test_a_family_is_the_same_with_and_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [path.read_text() for path in FILES if path.suffix == ".yaml"]
    found = [loads(text, "m.yaml") for text in texts]
    monkeypatch.setattr(quick, "CParser", None)
    assert [loads(text, "m.yaml") for text in texts] == found
