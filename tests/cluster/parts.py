"""What runs on the hosts of a cluster: a scheduler, a store and workers, each to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from builder.digest import digest_file, digest_json
from builder.engine.virtualenv import ensure_environment
from builder.plan.step import Toolchain
from builder.settings import cache_folder
from tests.cluster.hosts import Host
from tests.fakes import Events
from tests.integration.conftest import TINSMITH

_S3 = Path(__file__).parent / "s3"
_PATIENCE_SECONDS = 60.0
BUCKET = "team"


class Part:
    """A program on ``host`` that ``kill`` ends at once and ``start`` runs anew; what it prints is in ``log``."""

    def __init__(self, host: Host, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.host, self.name = host, name
        self.log = host.folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._command, self._env = list(command), dict(env)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = self.host.start(self._command, self._env, out=log, err=log)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Listener(Part):
    """A part that others connect to at ``address``."""

    def __init__(self, host: Host, name: str, port: int, command: Sequence[str], env: Mapping[str, str]) -> None:
        super().__init__(host, name, command, env)
        self.address, self._port = f"{host.address}:{port}", port

    def start(self) -> None:
        """Returns when it takes connections."""
        super().start()
        assert self.process is not None
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _listens(self.process.pid, self._port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not listen\n{self.text()[-2000:]}")
            time.sleep(0.05)


class Scheduler(Listener):
    def __init__(self, host: Host, port: int = 8786) -> None:
        words = ["-m", "distributed.cli.dask_scheduler", "--host", host.address, "--port", str(port)]
        super().__init__(host, "scheduler", port, [sys.executable, *words, "--no-dashboard", "--no-show"], {})

    @property
    def url(self) -> str:
        return f"tcp://{self.address}"


class Store(Listener):
    """An S3 server with the bucket ``team``, whose objects are files below ``objects`` and outlive its kill."""

    def __init__(self, host: Host, port: int = 9000) -> None:
        self.objects = host.folder / "objects"
        (self.objects / BUCKET).mkdir(parents=True)
        words = [str(_S3 / "serve.py"), str(self.objects), host.address, str(port)]
        super().__init__(host, "store", port, [str(_s3_python()), *words], {})

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a client finds it; it asks nobody who they are."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.address}",
            "AWS_ACCESS_KEY_ID": "an-id",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "AWS_REGION": "us-east-1",
        }


class Worker(Part):
    """``tinsmith worker`` on a host of its own: a supervisor, its child that takes steps, and the steps."""

    def __init__(
        self, host: Host, scheduler: str, store: str, env: Mapping[str, str], *, words: Sequence[str] = ()
    ) -> None:
        command = [*TINSMITH, "worker", "--scheduler", scheduler, "--store", store, "--name", host.name]
        super().__init__(host, "worker", [*command, "--engine", "local", *words], env)

    def kill_child(self) -> bool:
        """Kills the process that takes steps, and so the steps; False if there is none. The supervisor sees to it."""
        assert self.process is not None
        children = _children(self.process.pid)
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(children)


def _children(parent: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return []


def _listens(pid: int, port: int) -> bool:
    """Whether somebody in the network namespace of ``pid`` listens at ``port``."""
    with suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == "0A" and int(local.partition(":")[2], 16) == port:
                return True
    return False


def _s3_python() -> Path:
    """The Python that has what ``s3/requirements.lock`` says, in an environment that is made on first use."""
    nothing = digest_json(None)
    server = Toolchain("tests-s3-kept", "3.11", "", digest_file(_S3 / "requirements.lock"), nothing, nothing)
    return ensure_environment(server, _S3, cache_folder(), Events()) / "bin" / "python"
