"""The same signals for every run of the tests, however it was started, what runs beside what, and one browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
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


LONGEST = (
    "engine",
    "quantized",
    "tests/integration/test_hook.py",
    "tests/integration/test_cpu_classes.py",
    "tests/integration/test_language.py",
    "tests/integration/test_workflows.py",
    "tests/integration/test_canary.py",
)
"""Groups that take minutes, longest first. A short one that comes last leaves no processor idle for long."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups for pytest-xdist, in the order in which they start (with --no-loadscope-reorder): the longest, others that
    run a toolchain, the rest. A module's tests stay together, as do those that share a build, since each process has
    session fixtures of its own, and those that use Docker, whose containers they count."""
    groups = {item: _group(item) for item in items}
    long = {group: place for place, group in enumerate(LONGEST)}
    trains = {group for item, group in groups.items() if item.get_closest_marker("toolchain")}
    items.sort(key=lambda item: long.get(groups[item], len(long) + (groups[item] not in trains)))
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))


def _group(item: pytest.Item) -> str:
    module = item.nodeid.partition("::")[0]
    builds = getattr(item, "fixturenames", ()) if module.startswith("tests/integration/") else ()
    if module.startswith("tests/engine/") or "built" in builds or item.get_closest_marker("docker"):
        return "engine"
    return "quantized" if "quantized" in builds else module


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
