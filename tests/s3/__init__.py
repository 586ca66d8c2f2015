"""An S3 server on loopback: moto's, in an environment of its own that is made on first use.

moto cannot share the environment of the tests: botocore asks for an older python-dateutil than matplotlib.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builder.digest import digest_file, digest_json
from builder.engine.virtualenv import ensure_environment
from builder.plan.step import Toolchain
from builder.settings import cache_folder

_FOLDER = Path(__file__).parent
BUCKET = "team"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret", "AWS_REGION": "us-east-1"}
"""Any will do: moto asks nobody who they are."""


class Server:
    """A process of ``serve.py``, whose buckets are gone with it. ``strict``: it lets in nobody, once it has one."""

    def __init__(self, host: str = "127.0.0.1", port: int | None = None, *, strict: bool = False) -> None:
        self.host = host
        self._environ = {**os.environ, **({"INITIAL_NO_AUTH_ACTION_COUNT": "1"} if strict else {})}
        self.port = port or free_port(host)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a client finds it."""
        return {"AWS_ENDPOINT_URL": self.url, **CREDENTIALS}

    def start(self, bucket: str = BUCKET) -> None:
        """Returns once it answers and has ``bucket``."""
        command = [str(_python()), str(_FOLDER / "serve.py"), self.host, str(self.port)]
        self._process = subprocess.Popen(
            command, env=self._environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.make_bucket(bucket)
                return
            except OSError:
                if self._process.poll() is not None:
                    raise RuntimeError(f"the S3 server ended with {self._process.returncode}") from None
                if time.monotonic() > deadline:
                    self.stop()
                    raise
                time.sleep(0.1)

    def make_bucket(self, name: str) -> None:
        """OSError if the server does not answer, or not yet."""
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10):
            pass

    def pause(self) -> None:
        """It takes connections but answers none of them."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: int) -> None:
        assert self._process is not None, "the server runs"
        self._process.send_signal(number)


@contextmanager
def server(*, strict: bool = False) -> Iterator[Server]:
    """A running server with one bucket."""
    started = Server(strict=strict)
    started.start()
    try:
        yield started
    finally:
        started.stop()


def free_port(host: str = "127.0.0.1") -> int:
    """One that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _python() -> Path:
    """That of an environment with moto, at the version of requirements.lock."""
    nothing = digest_json(None)
    server = Toolchain("tests-s3", "3.11", "", digest_file(_FOLDER / "requirements.lock"), nothing, nothing)
    return ensure_environment(server, _FOLDER, cache_folder(), _say) / "bin" / "python"


def _say(kind: str, detail: Mapping[str, Any]) -> None:
    print(detail.get("text", ""), file=sys.stderr)
