"""The same signals for every run of the tests, however it was started, and what runs beside what."""

import signal
from collections.abc import Sequence

import pytest

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
