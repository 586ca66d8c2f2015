"""See ``server.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hook.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path, "--push", "registry.example.org/models", "--engine", "local")
    made.clone.manifest("one")
    made.clone.manifest("two")
    made.clone.commit("first")
    return made
