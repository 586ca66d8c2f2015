"""Markdown twin and model card: short, parsed by others, and deaf to what releases say in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from builder.report import markdown as twin
from builder.report import words
from builder.report.card import card
from builder.report.difference import difference
from builder.report.facts import facts_of
from builder.report.markdown import markdown
from builder.report.markdown_text import code, prose
from builder.report.subject import Subject
from tests.unit.report_subjects import HOSTILE, documents, ingested, manifest, run, subject

OURS = re.compile(r"</?(details|summary)>|<details><summary>[\w :;.]+</summary>")


def made(one: Subject, before: Subject | None = None) -> str:
    facts = facts_of(one)
    return markdown(facts, difference(facts_of(before) if before is not None else None, facts))


def check_harmless(text: str) -> None:
    """No HTML but ours, no links, nobody called, and tables that are whole."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        for part in [token, *(token.children or [])]:
            if part.type in ("html_inline", "html_block"):
                assert all(OURS.fullmatch(tag) for tag in part.content.split("\n") if tag), part.content
            assert part.type not in ("link_open", "image", "autolink")
            if part.type == "text":
                assert not re.search(r"@\w|#\d|www\.", part.content), part.content
    for rows in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        # GitHub takes pairs of backslashes first: two before a pipe would not hide it.
        assert "\\\\|" not in rows
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows.splitlines()}
        assert len(widths) == 1, rows


def test_what_changed_comes_first() -> None:
    text = made(subject(), subject(version="1.0.0", value=0.8, manifest=manifest(train={"steps": 100})))
    assert text.startswith("## shapes 1.1.0\n\nReleased.\n\n| figure | `1.0.0` | `1.1.0` | difference | verdict |\n")
    assert "| `mAP` | 0.800 | 0.900 | +0.100 | **better** |" in text
    assert "| `train.steps` | `100` | `800` |" in text
    check_harmless(text)


def test_sizes_of_one_row_have_one_unit() -> None:
    told = {99_999: "99.999 kB", 100_000: "0.100 MB", 1_440_652: "1.441 MB", 999: "999 B", 2 * 10**9: "2.000 GB"}
    assert {value: words.size(value) for value in told} == told
    assert words.change(1_440_652, 913_000, "bytes") == f"{words.MINUS}0.528 MB ({words.MINUS}36.6 %)"


def test_a_canary_is_called_one() -> None:
    canary = subject(digest=None, canary=True, unjudged=frozenset({"min_map50"}))
    assert made(canary).startswith("## shapes 1.1.0, canary\n\nA canary: ")
    assert re.search(r"^\| `min_map50` \| .* \| `–` \| not judged \|$", made(canary), re.MULTILINE)


def test_a_model_worse_than_one_box_is_warned_of() -> None:
    text = made(subject(value=0.05))
    assert text.startswith("## shapes 1.1.0\n\nReleased.\n\n> **Warning:** The model does not beat one constant box a ")
    check_harmless(text)
    assert "Warning" not in made(subject(value=0.1)) + made(subject(value=0.05, digest=None, canary=True))


def test_rejected_pictures_are_named() -> None:
    text = made(subject(ingested=ingested(("a.xml", "unknown label 'x'"))))
    assert "### Rejected pictures\n\n1 picture was rejected, and not used.\n\n| file | reason |\n" in text
    assert "| `a.xml` | `unknown label 'x'` |\n" in text and " more." not in text
    many = made(subject(ingested=ingested(*((f"{number}.xml", "x") for number in range(7)))))
    assert "`4.xml`" in many and "`5.xml`" not in many and "\nAnd 2 more.\n" in many
    assert "ejected" not in made(subject()) + made(subject(ingested=ingested()))


def test_one_machine_is_told_once() -> None:
    before = subject(version="1.0.0")
    assert "\nLatency before and now: `AMD EPYC, 2 threads`.\n" in made(subject(), before)
    other = made(subject(run=run("Intel")), before)
    assert "\nLatency before: `AMD EPYC, 2 threads`. Latency now: `Intel, 2 threads`.\n" in other


@pytest.mark.parametrize(
    ("cached", "says"),
    [
        (frozenset({"ingest", "train"}), ": 1 min 2 s in this build; the others were cached"),
        (frozenset(), ": 3 min 4 s in this build"),
        (frozenset({"ingest", "train", "package"}), ": all were cached"),
        (None, ""),
    ],
)
def test_the_time_of_a_build_is_not_that_of_its_cached_steps(cached: frozenset[str] | None, says: str) -> None:
    assert f"<summary>Time of each step{says}</summary>" in made(subject(cached=cached))


def test_hostile_texts_call_nobody_and_break_nothing() -> None:
    hostile = subject(
        labels=["a", HOSTILE], text=HOSTILE, run=run(HOSTILE), misses=(HOSTILE, "\n\n# x\n"),
        manifest={HOSTILE: HOSTILE, "verify": {}, "dataset": {"source": {"name": HOSTILE}}}, plan=HOSTILE,
        ingested=ingested((HOSTILE, HOSTILE), ("\ud800\n# x", "|")),
    )  # fmt: skip
    before = subject(version="1.0.0", manifest={HOSTILE: "`" * 7 + "|\\", "dataset": {}}, run=run("other"))
    for text in (made(hostile, before), card(facts_of(hostile)).partition("\n---\n")[2]):
        check_harmless(text)
        assert "octocat" in text
    assert "evil.example" in made(hostile, before)


@pytest.mark.parametrize(
    "text", ["", "\n", "a|b", "a\\|b", "\\", "`", "```` |", "a\\", "|", "\u202e", "ok", "``x``\\|`"]
)
def test_a_code_span_holds_any_text_in_a_table(text: str) -> None:
    line = f"| h | i |\n| --- | --- |\n| {code(text)} | last |\n"
    tokens = MarkdownIt("commonmark").enable("table").parse(line)
    cells = [token.children or [] for token in tokens if token.type == "inline"][2:]
    assert [part.content for part in cells[1]] == ["last"]
    (span,) = cells[0]
    if text.strip() and text.isprintable():
        assert span.type == "code_inline"
        assert span.content.strip().replace("\\ |", "\\|") == text
    else:
        assert span.content in ("–", "?")


@pytest.mark.parametrize(
    "text",
    [
        "@octocat",
        "a@b.example",
        "www.evil.example",
        "see #12",
        "GH-1",
        "<b>&amp;",
        "1. x",
        "- x",
        "[a](b)",
        "*a*",
        ":+1:",
    ],
)
def test_prose_reads_as_it_was_written(text: str) -> None:
    (paragraph,) = (token for token in MarkdownIt("commonmark").parse(prose(text)) if token.type == "inline")
    seen = "".join(part.content for part in paragraph.children or [])
    assert {part.type for part in paragraph.children or []} <= {"text", "text_special"}
    assert seen.replace("\N{ZERO WIDTH SPACE}", "") == text
    assert not re.search(r"@\w|#\d|(?i:GH-\d)", seen)


def test_it_fits_into_a_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [f"{number} {HOSTILE}" for number in range(300)]
    many = {f"key {number} {'x' * 500}": "y" * 1000 for number in range(2000)}
    long = subject(labels=labels, text=HOSTILE * 20, manifest=many, misses=(HOSTILE * 30,) * 500)
    text = made(long, subject(version="1.0.0", manifest={}))
    assert len(text) < 65_536
    check_harmless(text)
    monkeypatch.setattr(twin, "MOST", 3000)
    short = made(long, subject(version="1.0.0", manifest={"a": 1}))
    assert len(short) <= 3000 and short.endswith("*The rest is in the report's page.*\n")
    check_harmless(short)


def test_the_card_is_read_by_the_hub(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text(card(facts_of(subject(changes={
        "metadata.json": {**documents()["metadata.json"], "license": "Apache-2.0"}
    }))))  # fmt: skip
    read = ModelCard.load(tmp_path / "card.md")
    assert (read.data.license, read.data.library_name, read.data.pipeline_tag) == (
        "apache-2.0",
        "tflite",
        "object-detection",
    )
    assert {"tflite", "object-detection", "tinsmith", "float32"} <= set(read.data.tags)
    assert read.data.model_name == "shapes"
    figures = {result.metric_type: result.metric_value for result in read.data.eval_results}
    assert figures == {"map": 0.9, "map50": 0.9, "map75": 0.9, "ar100": 0.9}
    (first, *_) = read.data.eval_results
    assert (first.task_type, first.dataset_name, first.dataset_split) == ("object-detection", "drawings", "eval")
    assert first.dataset_revision == "sha256:" + "1" * 64
    assert read.text.strip().startswith("# shapes 1.1.0")


@pytest.mark.parametrize(
    "text", [HOSTILE, "no", "---\nlicense: mit\n---", "1e3", "\x85\u2028", "é☃\U0001f600", "", "null"]
)
def test_front_matter_keeps_any_text_a_text(text: str) -> None:
    odd = subject(text=text, manifest={"dataset": {"source": {"name": text}}}, labels=[text, "b"])
    read = ModelCard(card(facts_of(odd)))
    assert read.data.license == "other"
    assert isinstance(read.data.license_name, str)
    assert all(isinstance(result.dataset_name, str) and result.dataset_name for result in read.data.eval_results)


def test_json_escapes_of_halved_signs_are_refused_or_shown() -> None:
    documents_ = json.dumps(documents()["metadata.json"]).replace("one.jpg", "\\ud800")
    from builder.errors import IntegrityError

    with pytest.raises(IntegrityError, match=r"metadata\.json of shapes@1\.1\.0"):
        facts_of(subject(files={"metadata.json": documents_.encode()}))
