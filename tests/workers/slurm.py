"""A Slurm of one node: munged, slurmctld and slurmd on this machine, in a folder of their own."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.registries import free_port

_SYSTEM = "/usr/sbin"
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "sinfo", "squeue")

CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,bf_interval=1
KillWait=30
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=32000
PartitionName=main Nodes={host} Default=YES
"""


def required() -> None:
    """Skips where a program is missing, or fails if TINSMITH_REQUIRE_SLURM is set."""
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM}"
    for program in _PROGRAMS:
        if shutil.which(program, path=path) is None:
            message = f"{program} is not on PATH (Debian: .ci/slurm installs it)"
            if os.environ.get("TINSMITH_REQUIRE_SLURM"):
                pytest.fail(message)
            pytest.skip(message)


class Slurm:
    """A queue that takes jobs. ``environ`` is what its commands need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{os.environ['PATH']}:{_SYSTEM}",
        }

    def said(self, *command: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(command, env=env or self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("*.log")))

    def _ready(self) -> bool:
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=self.environ, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() == "idle"

    @contextmanager
    def run(self) -> Iterator[None]:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        files = {"socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log", "seed-file": "munge.seed"}
        places = [f"--{name}={self.folder / file}" for name, file in files.items()]
        with ExitStack() as stack:
            for command in (
                ["munged", "--foreground", "--force", f"--key-file={key}", *places],
                ["slurmctld", "-D", "-c"],
                ["slurmd", "-D", "-N", socket.gethostname().partition(".")[0]],
            ):
                stack.enter_context(self._running(command))
                if command[0] == "munged":
                    _wait((self.folder / "munge.socket").exists, self)
            _wait(self._ready, self)
            yield
            subprocess.run(["scancel", "--full", f"--user={getpass.getuser()}"], env=self.environ, check=False)
            _wait(lambda: not self.said("squeue", "-h"), self)

    @contextmanager
    def _running(self, command: Sequence[str]) -> Iterator[None]:
        with (self.folder / f"{command[0]}.out.log").open("wb") as log:
            process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Until the block ends. ``folder`` must be for this user alone, and on no long path: a socket is in it."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    text = CONFIGURATION.format(
        host=socket.gethostname().partition(".")[0],
        user=getpass.getuser(),
        controller=free_port(),
        node=free_port(),
        folder=folder,
    )
    (folder / "slurm.conf").write_text(text)
    made = Slurm(folder)
    with made.run():
        yield made


def _wait(true: object, slurm: Slurm) -> None:
    assert callable(true)
    latest = time.monotonic() + 30
    while not true():
        assert time.monotonic() < latest, slurm.logs()
        time.sleep(0.1)
