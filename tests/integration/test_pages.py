"""The pages of a real build in a real browser: its report, and the catalogue that lists it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.look import crawl, sound
from tests.integration.conftest import runner

pytestmark = pytest.mark.toolchain


def test_the_report_of_a_build(built: Path, browser: Browser) -> None:
    report = built / "build" / "tiny-1.0.0" / "report.html"
    sound(browser, report.as_uri())
    crawl(report.parent, report.name)


def test_the_catalogue_of_a_build(built: Path, browser: Browser, tmp_path: Path) -> None:
    out = tmp_path / "public"
    done = runner(built)("site", "-o", str(out))
    assert done.stdout == f"{out / 'index.html'}\n"
    assert "models/tiny/1.0.0/model.tflite" in crawl(out)
    page = out / "models" / "tiny" / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "Precision over recall" in text
    assert (page.parent / "1.0.0" / "model.tflite").read_bytes() == (
        built / "build" / "tiny-1.0.0" / "model.tflite"
    ).read_bytes()
    for each in (out / "index.html", page):
        sound(browser, each.as_uri())
