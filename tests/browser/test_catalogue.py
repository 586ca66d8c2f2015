"""The catalogue in a real browser: from a folder and from a server, with JavaScript and without, light and dark."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.look import crawl, fetched, opened, sound
from tests.catalogue import MANY

PAGES = (
    "index.html",
    "models/shapes/index.html",
    "models/birds/index.html",
    "models/odd-name-x-0fc9a94f8679/index.html",
)
NAMES = ["birds", "Odd_Name+x", "raccoon-025", "raccoon-050", "shapes", "shapes-int8", "shapes-uint8"]


def shown(page: Page) -> list[str]:
    """The names in the table's rows that can be seen, in their order."""
    return page.locator("#models tbody tr:visible th a").all_inner_texts()


@pytest.mark.parametrize("path", PAGES)
def test_from_a_folder_every_page_is_sound(browser: Browser, site: Path, path: str) -> None:
    sound(browser, (site / path).as_uri())


@pytest.mark.parametrize("path", PAGES)
def test_from_a_server_below_some_path_every_page_is_sound(
    browser: Browser, site: Path, served: Callable[[Path], str], path: str
) -> None:
    sound(browser, f"{served(site.parent)}/{site.name}/{path}")


def test_every_link_and_download_is_there(site: Path) -> None:
    reached = crawl(site)
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert files - reached == {".nojekyll"}
    assert sum(path.endswith("model.tflite") for path in reached) == len(MANY)
    assert set(json.loads((site / "catalogue.json").read_bytes())["files"]) == files


def test_a_download_has_the_bytes_that_the_page_says(
    browser: Browser, site: Path, served: Callable[[Path], str]
) -> None:
    url = f"{served(site)}/models/shapes/index.html"
    with opened(browser, url) as (page, _):
        row = page.locator("#get ~ .wide .files tbody tr").first
        with page.expect_download() as started:
            row.get_by_role("link").click()
        data = started.value.path().read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.locator("code").inner_text()
    sums = fetched(f"{served(site)}/models/shapes/2.0.0/SHA256SUMS").decode().splitlines()
    assert len(sums) == 5
    for line in sums:
        digest, _, title = line.partition("  ")
        assert hashlib.sha256(fetched(f"{served(site)}/models/shapes/2.0.0/{title}")).hexdigest() == digest


def test_sorted_by_a_click(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "index.html").as_uri()) as (page, _):
        assert shown(page) == NAMES
        size = page.get_by_role("columnheader", name="Size")
        size.get_by_role("button").click()
        expect(size).to_have_attribute("aria-sort", "ascending")
        by_size = shown(page)
        assert by_size[0] == "shapes-uint8"
        assert by_size[-1] == "birds"
        size.get_by_role("button").click()
        expect(size).to_have_attribute("aria-sort", "descending")
        assert shown(page) == by_size[::-1]
        best = page.get_by_role("columnheader", name="mAP", exact=True)
        best.get_by_role("button").click()
        expect(best).to_have_attribute("aria-sort", "descending")
        assert page.locator("[aria-sort]").count() == 1
        assert shown(page)[0] == "shapes"


def test_what_is_not_known_is_sorted_last(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "index.html").as_uri()) as (page, _):
        button = page.get_by_role("columnheader", name="Latency").get_by_role("button")
        for _ in range(2):
            button.click()
            assert shown(page)[-1] == "birds"
        assert shown(page)[0] == "Odd_Name+x"


def test_sorted_and_filtered_by_keyboard_alone(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "index.html").as_uri()) as (page, _):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Size against accuracy")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("raccoon")
        assert shown(page) == ["raccoon-025", "raccoon-050"]
        button = page.get_by_role("columnheader", name="Size").get_by_role("button")
        for _ in range(12):
            page.keyboard.press("Tab")
            if button.evaluate("each => each === document.activeElement"):
                break
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Space")
        assert shown(page) == ["raccoon-050", "raccoon-025"]


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("Search", "TRIANGLE -int8", ["shapes-int8"]),
        ("Search", "bird 79", ["birds"]),
        ("Search", "<b>bold", ["Odd_Name+x"]),
        ("Search", "no such thing", []),
        ("Quantization", "uint8-qat", ["shapes-uint8"]),
        ("Licence", "MIT", ["raccoon-025", "raccoon-050"]),
        ("Task", "object-detection", NAMES),
        ("Largest size, MB", "0.9", ["Odd_Name+x", "shapes-int8", "shapes-uint8"]),
        ("Least mAP", "0.6", ["shapes", "shapes-int8"]),
    ],
)
def test_filtered(browser: Browser, site: Path, field: str, value: str, names: list[str]) -> None:
    with opened(browser, (site / "index.html").as_uri()) as (page, heard):
        control = page.get_by_label(field)
        if field in ("Task", "Quantization", "Licence"):
            control.select_option(value)
        else:
            control.fill(value)
        assert shown(page) == names
        expect(page.get_by_role("status").first).to_have_text(f"{len(names)} of 7 models")
        expect(page.get_by_text("No model is like that.")).to_be_visible(visible=not names)
        control.press("Enter")  # sends nothing
        page.get_by_role("button", name="Reset").click()
        expect(page.get_by_role("status").first).to_have_text("7 of 7 models")
        assert shown(page) == NAMES
        assert heard.errors == []


def test_a_point_of_the_picture_leads_to_its_model(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "index.html").as_uri()) as (page, heard):
        points = page.locator("svg.pareto a")
        assert points.count() == 7
        point = page.get_by_role("link", name="raccoon-050 1.0.0: 3.900 MB, mAP 0.470, 5.1 ms")
        point.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("raccoon-050 1.0.0")
        assert heard.errors == []


def test_without_javascript_all_is_there_and_nothing_that_does_nothing(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "index.html").as_uri(), scripts=False) as (page, heard):
        assert shown(page) == NAMES
        assert page.get_by_role("button").count() == 0
        assert page.get_by_role("searchbox").count() == 0
        page.get_by_role("link", name="shapes", exact=True).first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("shapes 2.0.0")
        expect(page.get_by_role("button")).to_have_count(0)
        expect(page.get_by_text("tinsmith pull shapes@2.0.0").first).to_be_visible()
        page.get_by_text("1.1.0", exact=True).last.click()
        expect(page.get_by_text("tinsmith pull shapes@1.1.0")).to_be_visible()
        assert heard.errors == []


def test_the_versions_say_what_changed(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "models/shapes/index.html").as_uri()) as (page, _):
        rows = page.locator(".versions tbody tr")
        assert rows.locator("th a").all_inner_texts() == ["2.1.0-rc.1", "2.0.0", "1.1.0", "1.0.0"]
        assert "new classes: star" in rows.nth(1).inner_text()
        assert "−0.012" in rows.nth(1).inner_text()
        assert "−0.335 MB" in rows.nth(1).inner_text()
        assert "+0.052" in rows.nth(2).inner_text()
        assert "ms" in rows.nth(0).inner_text()
        assert rows.nth(0).locator("td").nth(4).locator(".delta").count() == 0  # another processor
        rows.nth(3).get_by_role("link").click()
        expect(page.get_by_text("tinsmith rebuild shapes@1.0.0")).to_be_visible()
        told = page.locator("svg.course").first.get_attribute("aria-label")
        assert told == "mAP by version: 1.0.0 0.601, 1.1.0 0.653, 2.0.0 0.641, 2.1.0-rc.1 0.644"


def test_a_command_is_copied(browser: Browser, site: Path, served: Callable[[Path], str]) -> None:
    with opened(browser, f"{served(site)}/models/shapes/index.html") as (page, _):
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy").first.click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert (
            page.evaluate("navigator.clipboard.readText()") == "tinsmith pull shapes@2.0.0 models/shapes --only model"
        )


def test_texts_of_a_release_do_nothing(browser: Browser, site: Path) -> None:
    for path in ("index.html", PAGES[3]):
        with opened(browser, (site / path).as_uri()) as (page, heard):
            page.on("dialog", lambda dialog: heard.errors.append(dialog.message))
            assert page.locator("script").count() == 1
            assert page.locator("td b, li b").count() == 0
            assert page.locator("a[href^='javascript' i]").count() == 0
            assert "{{ 7*7 }}" in page.inner_text("body")
            assert "\u202e" not in page.inner_text("body")
            assert heard.errors == []


def test_on_a_phone_the_meaning_of_a_tensor_stands_below_its_name(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "models/shapes/index.html").as_uri()) as (page, _):
        table = page.locator(".tensors")
        for width in (390, 1200):
            page.set_viewport_size({"width": width, "height": 800})
            over = table.evaluate("each => each.parentElement.scrollWidth - each.parentElement.clientWidth")
            assert over == 0, width
            row = table.locator("tbody tr").nth(1)
            name, meaning = row.locator("th").bounding_box(), row.locator("td").last.bounding_box()
            assert name is not None and meaning is not None
            assert (meaning["y"] >= name["y"] + name["height"]) is (width == 390)


def test_a_table_that_scrolls_has_a_shadow_at_its_edge_until_the_end(browser: Browser, site: Path) -> None:
    def contrast(page: Page) -> int:
        """The darkest of the last pixels before the right edge, below the header, from paper."""
        picture = Image.open(io.BytesIO(page.locator(".wide").first.screenshot())).convert("L")
        right = picture.crop((picture.width - 2, 0, picture.width - 1, picture.height)).tobytes()
        return 255 - sorted(right)[len(right) // 2]

    with opened(browser, (site / "index.html").as_uri()) as (page, _):
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 390, "height": 800})
        assert contrast(page) > 30
        page.locator(".wide").first.evaluate("each => each.scrollTo(each.scrollWidth, 0)")
        assert contrast(page) < 10


def test_for_print_everything_is_opened_and_no_control_is_left(browser: Browser, site: Path) -> None:
    with opened(browser, (site / "models/shapes/index.html").as_uri()) as (page, _):
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        assert page.get_by_role("button").count() == 0
        expect(page.locator("header nav").first).to_be_hidden()
