"""What is asked of every page that tinsmith writes, in a real browser: see ``sound`` and ``crawl``."""

from __future__ import annotations

import hashlib
import html.parser
import os
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page

from builder.settings import cache_folder

LOCK = Path(__file__).with_name("package-lock.json")
WIDTHS = (1200, 390)
SCHEMES = ("light", "dark")


@dataclass
class Heard:
    """What a page said and asked for while it was open."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def axe() -> Path:
    """Where .ci/browser puts axe-core. FileNotFoundError if it is not there."""
    known = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    path = cache_folder() / "browser" / known / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        raise FileNotFoundError(path)
    return path


@contextmanager
def opened(
    browser: Browser, url: str, *, width: int = 1200, scheme: str = "light", scripts: bool = True
) -> Iterator[tuple[Page, Heard]]:
    """A page of its own, and all it says until it is closed. ``scripts``: whether the page's own run."""
    # axe-core is put in from outside, which the page's policy would forbid.
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    page, heard = context.new_page(), Heard()
    page.on("console", lambda said: heard.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: heard.errors.append(str(error)))
    page.on("requestfailed", lambda request: heard.errors.append(f"failed: {request.url}"))
    page.on("request", lambda request: heard.requests.append(request.url))
    page.on(
        "response",
        lambda answer: heard.errors.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None,
    )
    page.goto(url)
    try:
        yield page, heard
    finally:
        context.close()


def sound(browser: Browser, url: str) -> None:
    """Asserts of the page at ``url``, at both widths and in both schemes: nothing goes wrong, nothing comes from
    elsewhere, nothing sticks out, every picture is there and has words, and axe-core finds no serious fault."""
    for scheme in SCHEMES:
        for width in WIDTHS:
            with opened(browser, url, width=width, scheme=scheme) as (page, heard):
                page.wait_for_load_state("load")
                where = f"{url} at {width} in {scheme}"
                assert not heard.errors, f"{where}: {heard.errors}"
                elsewhere = [item for item in heard.requests if not _same_place(item, url)]
                assert not elsewhere, f"{where}: {elsewhere}"
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{where} is too wide"
                pictures = page.evaluate(
                    "[...document.images].map(i => [i.getAttribute('src').slice(0, 80), i.naturalWidth, i.alt])"
                )
                assert all(size > 0 and alt for _, size, alt in pictures), f"{where}: {pictures}"
                found = faults(page)
                assert not found, f"{where}: {found}"


def faults(page: Page) -> list[str]:
    """Violations of serious or critical impact, with where they are."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    page.evaluate(axe().read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert found["passes"], "axe-core has looked at nothing"
    return [
        f"{item['impact']} {item['id']}: {item['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


def _same_place(request: str, url: str) -> bool:
    one, other = urllib.parse.urlsplit(request), urllib.parse.urlsplit(url)
    return one.scheme in ("data", "blob") or (one.scheme, one.netloc) == (other.scheme, other.netloc)


class _Links(html.parser.HTMLParser):
    """Every address and every id of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src", "xlink:href", "data", "poster", "action", "srcset") and value is not None:
                self.links.append(value)
            if name == "id" and value is not None:
                self.ids.append(value)


def crawl(folder: Path, first: str = "index.html") -> set[str]:
    """Follows every link from ``first``; what was reached, as paths in ``folder``.

    Asserts that all of it is there, every fragment is an id, no id stands twice, and nothing leads out of the folder
    but to the web.
    """
    reached: dict[str, list[str]] = {}
    asked: list[tuple[str, str]] = []
    waiting = [first]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        file = folder / path
        assert file.is_file(), path
        reached[path] = []
        if file.suffix != ".html":
            continue
        page = _Links()
        page.feed(file.read_text(encoding="utf-8"))
        assert len(page.ids) == len(set(page.ids)), f"{path}: an id stands twice"
        reached[path] = page.ids
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            assert parts.scheme in ("", "http", "https", "mailto", "data"), f"{path}: {link[:80]}"
            if parts.scheme:
                continue
            assert not link.startswith("/"), f"{path}: {link} is not relative"
            target = os.path.normpath(Path(path).parent / urllib.parse.unquote(parts.path)) if parts.path else path
            assert not target.startswith(".."), f"{path}: {link}"
            waiting.append(target)
            if parts.fragment:
                asked.append((target, parts.fragment))
    for target, fragment in asked:
        assert fragment in reached[target], f"{target}#{fragment}"
    return set(reached)


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        data: bytes = answer.read()
    return data
