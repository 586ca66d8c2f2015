"""A catalogue to look at, and a web server for the folder that a test names."""

from __future__ import annotations

import datetime
import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.catalogue.entry import entries_of
from builder.catalogue.models import models_of
from builder.catalogue.offers import in_layout
from builder.catalogue.pages import site_of
from builder.catalogue.write import room_for, write_site
from builder.registry.gate import Gate
from builder.trust.memory import Memory
from builder.trust.policy import Origin, Policy
from tests.catalogue import many


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of ``tests.catalogue.MANY``."""
    folder = tmp_path_factory.mktemp("catalogue")
    out = folder / "public" / "models"
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
