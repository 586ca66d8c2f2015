from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3 import Server, server
from tests.store.places import KINDS, Place


@pytest.fixture(scope="package")
def _s3() -> Iterator[Server]:
    with server() as started:
        yield started


@pytest.fixture
def s3(_s3: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that nothing else stops, and the variables that name it."""
    for name, value in _s3.environment.items():
        monkeypatch.setenv(name, value)
    return _s3


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind = request.param
    if kind in ("s3", "cached"):
        request.getfixturevalue("s3")
    where = str(tmp_path / "store") if kind in ("disk", "folder") else f"stores/{secrets.token_hex(8)}"
    return Place(kind, where, tmp_path)
