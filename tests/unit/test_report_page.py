"""The report's page: what stands in it, and that nothing from a release becomes more than text."""

from __future__ import annotations

import itertools
import re
import struct
from html.parser import HTMLParser

import pytest

from builder.report import boxes
from builder.report.boxes import is_png
from builder.report.card import card
from builder.report.charts import Series, lines
from builder.report.difference import difference
from builder.report.facts import facts_of
from builder.report.html import page
from builder.report.subject import Subject
from tests.unit.report_subjects import HOSTILE, documents, png, run, subject

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Seen(HTMLParser):
    """Tags with their attributes in order, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for seen, attributes in self.tags if seen == tag]


def made(one: Subject, before: Subject | None = None) -> Seen:
    facts = facts_of(one)
    return Seen(page(facts, difference(facts_of(before) if before is not None else None, facts), "0" * 64))


def test_every_part_is_there() -> None:
    before = subject(version="1.0.0", value=0.8, run=run("Intel Xeon", 3.0), manifest={"train": {"steps": 100}})
    seen = made(subject(misses=("max_size: 12 bytes, 2 over 10",)), before)
    assert not seen.open
    for text in (
        "What changed against shapes@1.0.0", "train.steps", "+0.100", "better", "Intel Xeon", "AMD EPYC",
        "these milliseconds do not compare", "max_size: 12 bytes, 2 over 10", "trained graph (frozen)",
        "Precision against recall",
        "nothing annotated", "circle 0.87", ".tflite: the same.", "1 of a wrong class and 2 where nothing is",
        "From 3 to 0.5",
        "The weights are those of step 700", "1 min 2 s", "cached", "sha256:" + "4" * 64, "tinsmith pull shapes@1.1.0",
    ):  # fmt: skip
        assert text in seen.text, text
    headings = [int(tag[1]) for tag, _ in seen.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after <= level + 1 for level, after in itertools.pairwise(headings))


def test_a_reader_who_sees_nothing_is_told_everything() -> None:
    seen = made(subject())
    assert all(one.get("scope") in ("row", "col") for one in seen.all("th"))
    assert all(one.get("aria-label") for one in seen.all("svg"))
    assert all(one.get("role") == "img" for one in seen.all("svg"))
    assert all(one.get("alt") for one in seen.all("img"))
    # What scrolls can be reached with the keyboard.
    assert all(
        one.get("tabindex") == "0" and one.get("aria-label") for one in seen.all("div") if one.get("class") == "wide"
    )


def test_ids_are_unique_and_every_link_leads_to_one() -> None:
    seen = made(subject(), subject(version="1.0.0"))
    ids = [one["id"] for _, one in seen.tags if "id" in one]
    assert len(ids) == len(set(ids))
    links = [value for _, one in seen.tags for name, value in one.items() if name.endswith("href")]
    links = [value for value in links if not (value or "").startswith("data:")]
    assert len(links) > 20
    assert {value[1:] for value in links if value} <= set(ids)
    assert all(value and value.startswith("#") for value in links)


def test_hostile_texts_stay_texts() -> None:
    hostile = subject(
        labels=["a", HOSTILE], text=HOSTILE, run=run(HOSTILE), misses=(HOSTILE,),
        manifest={HOSTILE: HOSTILE, "verify": {}}, order=(HOSTILE,), plan=HOSTILE,
    )  # fmt: skip
    seen = made(hostile, subject(version="1.0.0", manifest={HOSTILE: ["x"]}))
    assert not seen.open
    assert not seen.all("script")
    assert not [name for _, one in seen.tags for name in one if name.startswith("on")]
    assert "<script>alert(1)</script>|`tick` @octocat #1 https://evil.example/ **b** $x_{2$" in seen.text
    assert "\u202e" not in seen.text
    sources = [one[name] for _, one in seen.tags for name in ("src", "href", "xlink:href") if name in one]
    assert all(re.match(r"#|data:image/png;base64,[A-Za-z0-9+/=]+$", source or "") for source in sources)
    policy = next(one["content"] for one in seen.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_a_release_of_an_earlier_version_shows_what_it_has() -> None:
    later = ("evaluation.json", "training.json", "certificate.json", "golden/1.png")
    seen = made(subject(without=later, cached=None, run=None, files={"detections.png": png(20, 10)}))
    assert len(seen.all("img")) == 1
    assert "Worst cases" not in seen.text and "Training" not in seen.text
    bare = made(subject(without=tuple(documents()), run=None, manifest=None, misses=None))
    assert "Where it comes from" in bare.text


def test_what_is_not_released_says_why_and_offers_nothing() -> None:
    seen = made(subject(digest=None, misses=("min_map50: too low",)))
    assert "Not released: it misses its budgets." in seen.text
    assert "tinsmith pull" not in seen.text
    canary = made(subject(digest=None, canary=True), subject(version="1.0.0"))
    assert "A canary" in canary.text and "Not released" not in canary.text


@pytest.mark.parametrize(
    "data",
    [
        b"", b"GIF89a" + b"\0" * 40, b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", png()[:16],
        png()[:16] + struct.pack(">II", 60_000, 60_000) + png()[24:],
        png()[:16] + struct.pack(">II", 0, 4) + png()[24:],
    ],
    ids=["empty", "gif", "svg", "cut", "bomb", "no-width"],
)  # fmt: skip
def test_only_pngs_of_a_sensible_size_are_shown(data: bytes) -> None:
    assert not is_png(data)
    seen = made(subject(files={"golden/1.png": data}))
    assert seen.text.count("The picture cannot be shown.") == 1
    assert len([one for one in seen.all("image") if one]) == 1


def test_a_picture_that_is_not_in_the_release_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The picture cannot be shown." in made(subject(without=("golden/1.png",))).text
    monkeypatch.setattr(boxes, "MOST_BYTES", len(png()) + 1)
    assert made(subject()).text.count("The picture cannot be shown.") == 1


def test_boxes_lie_on_the_picture_in_its_own_proportions() -> None:
    gallery = boxes.Gallery(facts_of(subject()))
    (shown,) = gallery.shown()
    assert shown.height == pytest.approx(400 * 200 / 300)
    box = shown.answers[0].rectangles[0]
    assert (box.x, box.width) == (80.0, 160.0)
    assert (box.y, box.height) == (pytest.approx(26.7), pytest.approx(106.7))
    (worst,) = gallery.worst()
    assert worst.caption[0] == "1 of a wrong class and 2 where nothing is."
    assert worst.caption[-1] == ".tflite: square 0.87."


def test_many_classes_list_their_confusions() -> None:
    labels = [f"class {number}" for number in range(60)]
    seen = made(subject(labels=labels))
    assert "The most frequent confusions" in seen.text
    assert "And 12 more classes, with fewer boxes." in seen.text


def test_charts_share_nothing_on_a_page() -> None:
    one = lines([Series("$\\frac{", [(1, 2.0), (3, 4.0)]), Series("_b", [])], "x", "y", "one <b>")
    other = lines([Series("a", [(1, 2.0)])], "x", "y", "other")
    ids = re.findall(r'\bid="([^"]+)"', one) + re.findall(r'\bid="([^"]+)"', other)
    assert ids and len(ids) == len(set(ids))
    for drawn in (one, other):
        assert "<style" not in drawn
        assert not re.search(r"#[0-9a-fA-F]{6}\b(?!-)", re.sub(r'(id="|#)c[0-9a-f]{8}-\w+', "", drawn))
        assert "var(--soft)" in drawn and "var(--series-1)" in drawn
    assert "<b>" not in one and "$\\frac{" in one and "_b" in one
    assert "legend" not in other


@pytest.mark.parametrize("width", [10**400, 1e300, -(10**400)])
def test_a_width_that_is_none_is_not_told(width: float) -> None:
    document = documents()["metadata.json"]
    document["architecture"]["depth_multiplier"] = width
    assert (
        "width" not in card(facts_of(subject(changes={"metadata.json": document}))).split("network")[1].split("\n")[0]
    )
