"""A browser, and a web server for the folder that a test names."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from builder.catalogue.entry import entries_of
from builder.catalogue.models import models_of
from builder.catalogue.offers import in_layout
from builder.catalogue.pages import site_of
from builder.catalogue.write import room_for, write_site
from builder.registry.gate import Gate
from builder.trust.memory import Memory
from builder.trust.policy import Origin, Policy
from tests.browser.look import axe
from tests.catalogue import many

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def _missing(what: str) -> NoReturn:
    message = f"{what} (Debian: .ci/browser installs it)"
    if os.environ.get("TINSMITH_REQUIRE_BROWSER"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Skips where Chromium or axe-core is missing, or fails if TINSMITH_REQUIRE_BROWSER is set."""
    if not Path(CHROMIUM).exists():
        _missing(f"there is no {CHROMIUM}")
    try:
        axe()
    except FileNotFoundError as error:
        _missing(f"there is no axe-core at {error}")
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        except Error as error:
            _missing(f"{CHROMIUM} does not start: {error.message[:300]}")
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of ``tests.catalogue.MANY``."""
    folder = tmp_path_factory.mktemp("catalogue")
    out = folder / "public" / "models"
    import datetime

    now = datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)
    gate = Gate(Policy(), Memory(folder / "state"), now)
    layout = many(folder / "releases")
    with room_for(out) as scratch:
        entries, left = entries_of(in_layout(layout, Origin("own", ""), gate), scratch)
        assert left == []
        made = site_of(models_of(entries), "Small detectors")
        write_site(made.pages, made.files, out, scratch)
    return out


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[[Path], str]]:
    """``served(folder)`` is its address on this machine until the tests end."""
    running = []

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    def serve(folder: Path) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in running:
        server.shutdown()
        server.server_close()
