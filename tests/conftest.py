"""The same signals for every run of the tests, however it was started, what runs beside what, and one browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# A shell that starts a job in the background has it ignore Ctrl-C, and what the tests start and interrupt would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Groups for pytest-xdist: a module's tests stay together, as do all that use an engine, whose containers they
    count, or the project that is built once."""
    for item in items:
        module = item.nodeid.partition("::")[0]
        shared = (
            module.startswith(("tests/engine/", "tests/integration/test_hook.py"))
            or "built" in getattr(item, "fixturenames", ())
            or item.get_closest_marker("docker")
        )
        item.add_marker(pytest.mark.xdist_group("engine" if shared else module))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Skips where Chromium or axe-core is missing, or fails if TINSMITH_REQUIRE_BROWSER is set."""
    from playwright.sync_api import Error, sync_playwright

    from tests.browser.look import axe

    if not Path(CHROMIUM).exists():
        _no_browser(f"there is no {CHROMIUM}")
    try:
        axe()
    except FileNotFoundError as error:
        _no_browser(f"there is no axe-core at {error}")
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        except Error as error:
            _no_browser(f"{CHROMIUM} does not start: {error.message[:300]}")
        yield opened
        opened.close()


def _no_browser(what: str) -> NoReturn:
    message = f"{what} (Debian: .ci/browser installs it)"
    if os.environ.get("TINSMITH_REQUIRE_BROWSER"):
        pytest.fail(message)
    pytest.skip(message)
