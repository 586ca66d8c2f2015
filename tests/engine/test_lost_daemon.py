"""The Docker daemon goes away in the midst of a step: the build says so, and does not take it for a result."""

from __future__ import annotations

import gc
import os
import selectors
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.engine.docker import DockerEngine
from builder.engine.leftovers import OWNER_LABEL, RUN_LABEL
from builder.errors import StepFailed
from tests.engine.conftest import TOOLCHAIN_FOLDER, Bench, base_image, docker_engine, lay_out, tiny_toolchain
from tests.fakes import Events

pytestmark = [
    pytest.mark.docker,
    # The SDK does not close the socket of a connection that it could not make.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Proxy:
    """A socket that leads to the daemon until it is cut."""

    def __init__(self, path: Path, target: str) -> None:
        self.address = f"unix://{path}"
        self._target = target
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._open: list[socket.socket] = [self._server]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            self._open += [near, far]
            threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    @staticmethod
    def _pump(near: socket.socket, far: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    try:
                        data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                        key.data.sendall(data)
                    except OSError:
                        data = b""
                    if not data:
                        near.close()
                        far.close()
                        return

    def cut(self) -> None:
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._thread.join()
        for connection in self._open:
            connection.close()


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    docker_engine().close()
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    made = Proxy(tmp_path / "proxy.sock", address.removeprefix("unix://"))
    monkeypatch.setenv("DOCKER_HOST", made.address)
    yield made
    made.cut()
    # So that what the SDK left open is noticed here, and not in some later test.
    gc.collect()


def test_a_daemon_that_goes_away_fails_the_step_as_lost(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "build"
    lay_out(root)
    engine = DockerEngine.connect(folders=lambda name: TOOLCHAIN_FOLDER)
    bench = Bench(engine, tiny_toolchain(base_image(engine)), root, Events())
    engine.prepare(bench.toolchain, bench.events)

    def cut_when_it_runs(kind: str, detail: Mapping[str, Any]) -> None:
        if detail.get("text") == "waiting":
            proxy.cut()

    with pytest.raises(StepFailed) as caught:
        engine.run(bench.step("slow"), bench.workspace(), cut_when_it_runs)

    engine.close()
    assert caught.value.code == "engine-lost"
    monkeypatch.undo()
    remove_what_this_process_left()


def remove_what_this_process_left() -> None:
    """The container that the engine could no longer remove: this process lives, so no sweep takes it."""
    direct = docker_engine()
    for container in direct.client.containers.list(all=True, filters={"label": RUN_LABEL}):
        if f":{os.getpid()}:" in container.labels[OWNER_LABEL]:
            container.remove(force=True)
    direct.close()
