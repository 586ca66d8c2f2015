"""A scheduler that cannot be reached, in plain words whatever Dask makes of it."""

from __future__ import annotations

import gc
import logging
import sys
import threading

import dask
import pytest

from builder.cluster.banned import drop
from builder.cluster.connection import _MOST_EVENTS, Connection
from builder.errors import NoEngine, TinsmithError, UsageError
from builder.settings import cluster_patience
from tests.fakes import Events

pytest.importorskip("distributed")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_CLUSTER_PATIENCE", "0.2")


@pytest.mark.parametrize(
    ("address", "kind", "text"),
    [
        ("tcp://rack", UsageError, "missing port"),
        ("http://127.0.0.1:1", UsageError, "unknown address scheme"),
        ("tcp://127.0.0.1:1", NoEngine, "no Dask scheduler answers"),
        ("tls://127.0.0.1:1", NoEngine, "ssl_context"),
    ],
)
def test_an_address_that_leads_nowhere(
    address: str, kind: type[TinsmithError], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = threading.active_count()
    with pytest.raises(kind, match=text):
        Connection(address, Events()).client()
    gc.collect()
    assert capfd.readouterr().err == ""
    assert threading.active_count() <= before + 1


def test_an_address_that_the_configuration_forbids() -> None:
    with dask.config.set({"distributed.comm.require-encryption": True}), pytest.raises(NoEngine, match="encryption"):
        Connection("tcp://127.0.0.1:1", Events()).client()


def test_dask_is_silent_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_LOGGING__DISTRIBUTED", raising=False)
    with pytest.raises(NoEngine):
        Connection("tcp://127.0.0.1:1", Events()).client()
    assert not logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="distributed"):
        Connection("tcp://127.0.0.1:1", Events()).client()


@pytest.mark.parametrize("value", ["nan", "-1", "inf", "1e3", "soon"])
def test_a_patience_that_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TINSMITH_CLUSTER_PATIENCE", value)
    with pytest.raises(UsageError, match="no number of seconds"):
        cluster_patience()


def test_events_that_nobody_takes_are_dropped() -> None:
    connection = Connection("tcp://127.0.0.1:1", Events())
    for _ in range(_MOST_EVENTS + 10):
        connection._receive((0.0, [{"kind": "log", "detail": {}}]))
    assert connection.events.qsize() == _MOST_EVENTS


def test_to_drop_nobody_takes_no_scheduler() -> None:
    drop(Connection("tcp://127.0.0.1:1", Events()), ["", ""], "", Events())
