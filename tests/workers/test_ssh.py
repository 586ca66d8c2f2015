"""Workers on hosts that one reaches by SSH, through a real sshd on this machine."""

from __future__ import annotations

import getpass
import importlib.util
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from distributed import Client

from tests.registries import free_port
from tests.workers.running import EXAMPLES, ROOT, TINSMITH, environment, introduce, offers, until

SSHD = "/usr/sbin/sshd"
HOSTS = ("rack1", "rack2")

SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
SetEnv {variables}
"""
CLIENT = """\
Host {hosts}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/user
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""


@dataclass(frozen=True)
class Server:
    """This machine, as ``rack1`` and ``rack2`` for the ssh of ``path``, in which their shells look, too."""

    port: int
    folder: Path
    path: str


def required() -> None:
    """Skips where a program is missing, or fails if TINSMITH_REQUIRE_SSH is set."""
    for program in (SSHD, "ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            _lacking(f"there is no {program} (Debian: .ci/ssh installs it)")


def _lacking(message: str) -> NoReturn:
    if os.environ.get("TINSMITH_REQUIRE_SSH"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    required()
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    programs = folder / "bin"
    programs.mkdir()
    for name, command in {
        "tinsmith": TINSMITH,
        "dask": [sys.executable, "-m", "dask"],
        "ssh": [str(shutil.which("ssh")), "-F", str(folder / "client")],
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    there = {"PATH": path, "PYTHONPATH": str(ROOT), "TINSMITH_CACHE": str(folder / "cache"), "TINSMITH_ENGINE": "local"}
    variables = " ".join(f'"{name}={value}"' for name, value in there.items())
    (folder / "sshd").write_text(SERVER.format(port=port, folder=folder, variables=variables))
    user = getpass.getuser()
    (folder / "client").write_text(CLIENT.format(hosts=" ".join(HOSTS), port=port, user=user, folder=folder))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it wants to be before anybody is let in
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd")], stdout=log, stderr=log)
    try:
        until(lambda: _answers(port), "sshd")
        yield Server(port, folder, path)
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def started(command: list[str], env: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def pids(client: Client) -> list[int]:
    return list(client.run(os.getpid).values())


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_the_script_starts_a_worker_on_each_host_and_ends_them(server: Server, tmp_path: Path) -> None:
    port = free_port()
    env = environment(PATH=server.path, PORT=str(port), TINSMITH_STORE=f"file://{tmp_path / 'store'}")
    with started([str(EXAMPLES / "ssh.sh"), "127.0.0.1", *HOSTS], env, tmp_path) as process:
        with Client(f"tcp://127.0.0.1:{port}", timeout=40) as client:
            until(lambda: set(offers(client)) == set(HOSTS), "the workers")
            told = client.submit(introduce, resources={"slots": 1}, pure=False).result(timeout=20)
            assert told["read"] == told["name"].encode()
            running = pids(client)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
    until(lambda: all(gone(pid) for pid in running), "the workers gone")
    text = (tmp_path / "log.txt").read_text()
    assert f"tinsmith build MANIFEST --engine dask --scheduler tcp://127.0.0.1:{port}\n" in text
    assert "Traceback" not in text


def test_dask_ssh_with_the_words_of_the_page(server: Server, tmp_path: Path) -> None:
    if importlib.util.find_spec("paramiko") is None:
        _lacking("dask ssh needs the package paramiko")
    page = (ROOT / "docs" / "cluster.md").read_text().replace("\\\n", "")
    (line,) = (text for text in page.splitlines() if text.startswith("dask ssh "))
    port = free_port()
    words = [
        word.replace("s3://builds/store", f"file://{tmp_path / 'store'}").replace(
            "/opt/tinsmith/bin/python", sys.executable
        )
        for word in shlex.split(line)
    ]
    assert words[-3:] == ["head", "rack1", "rack2"]
    ours = ["--ssh-port", str(server.port), "--ssh-private-key", str(server.folder / "user")]
    command = [*words[:-3], "--scheduler-port", str(port), *ours, *["127.0.0.1"] * 2]
    address = f"tcp://127.0.0.1:{port}"
    with started(command, environment(PATH=server.path), tmp_path), Client(address, timeout=40) as client:
        found = until(lambda: len(found := offers(client)) == 2 and found, "the workers")
        assert all(offer["slots"] == 1 for offer in found.values())
        told = client.submit(introduce, resources={"slots": 1}, pure=False).result(timeout=20)
        assert told["read"] == told["name"].encode()
        client.shutdown()
