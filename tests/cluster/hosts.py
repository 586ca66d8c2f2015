"""Hosts in network namespaces: each has an address, some processor time and folders of its own.

The switch that joins them is in a namespace too, so nothing of the machine's own network is touched: no address can be
taken, no firewall is in the way, and two racks at once do not meet.

    rack namespace 10.213.7.1: the switch; scheduler, client
      |-- port1 -- eth0 10.213.7.11 in the namespace of host 1
      |-- port2 -- eth0 10.213.7.12 in the namespace of host 2

One folder is shared on purpose: the finished environments of the toolchains, which take minutes to make and which a
host without a way out could not make. They are only read.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from builder.settings import cache_folder
from tests.cluster import groups
from tests.cluster.lacking import NoHosts

ROOT = Path(__file__).resolve().parents[2]
_PREFIX = "tinsmith-rack-"
_LOCKS = Path("/run/tinsmith-racks")
_numbers = itertools.count(1)
_NETWORK, _LENGTH = "10.213.7", 24
_ENTER = """
group=$1 network=$2 name=$3; shift 3
echo $$ >"$group" && exec nsenter --net="$network" unshare --uts sh -c '
  echo "$0" >/proc/sys/kernel/hostname && exec "$@"' "$name" "$@"
"""
"""It becomes the command: the process that is started is the one that is waited for and killed."""


class Host:
    """A namespace with one address. ``start`` runs programs in it; its own ``folder`` has all they keep."""

    def __init__(self, rack: str, name: str, address: str, folder: Path, cores: float | None) -> None:
        self.name, self.address, self.folder = name, address, folder
        self.namespace = f"{rack}-{name}"
        self.group = groups.Group(self.namespace, cores)
        self.processes: list[subprocess.Popen[bytes]] = []
        for part in ("home", "cache", "tmp", "state"):
            (folder / part).mkdir(parents=True)
        _share_toolchains(folder / "cache")
        _ip("netns", "add", self.namespace)
        _ip("-n", self.namespace, "link", "set", "lo", "up")

    @property
    def environment(self) -> dict[str, str]:
        """What a program finds here: none of the caller's settings, none of another host's folders."""
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "TINSMITH_CACHE": str(self.folder / "cache"),
            "TINSMITH_STATE": str(self.folder / "state"),
        }

    def start(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        cwd: Path | None = None,
        out: IO[bytes] | int | None = None,
        err: IO[bytes] | int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Runs ``command`` with ``env`` over the host's own; what it starts stays here, and ends with ``kill``."""
        script = ["sh", "-c", _ENTER, "start"]
        words = [str(self.group.entrance), f"/run/netns/{self.namespace}", self.name]
        process = subprocess.Popen(
            [*script, *words, *command],
            env={**self.environment, **(env or {})},
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,  # Ctrl-C is for the harness, which then takes all down
        )
        self.processes.append(process)
        return process

    def kill(self) -> int:
        """The power fails: every process here is killed at once. Returns how many there were."""
        killed = self.group.kill()
        for process in self.processes:
            process.wait()
        self.processes.clear()
        return killed

    def remove(self) -> None:
        self.kill()
        self.group.remove()
        _ip("netns", "del", self.namespace)


class Rack:
    """A context manager: the switch, at which ``head`` sits, a host as well, and the hosts that ``add`` connects to it.

    ``folder`` is where hosts have their folders; without it one is made, and removed in the end. Raises NoHosts where
    this machine lacks what it takes. What an earlier rack left when its process was killed is removed first.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.hosts: list[Host] = []
        self._folder, self._stack = folder, ExitStack()
        self._name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"

    def __enter__(self) -> Rack:
        if sys.platform != "linux" or os.geteuid() != 0:
            raise NoHosts("network namespaces are made by root on Linux")
        if missing := [name for name in ("ip", "nsenter", "unshare") if shutil.which(name) is None]:
            raise NoHosts(f"there is no {missing[0]} (Debian: iproute2, util-linux)")
        with self._stack:
            _sweep()
            self._stack.enter_context(_claimed(self._name))
            if self._folder is None:
                # Its name is found again by the next rack, should this process be killed.
                self._folder = Path(tempfile.gettempdir()) / self._name
                self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self.head = self._host("head", f"{_NETWORK}.1", None)
            _ip("-n", self.head.namespace, "link", "add", "switch", "type", "bridge")
            self._connect(self.head.namespace, "switch", self.head.address)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, name: str, cores: float | None = None) -> Host:
        """A host of its own namespace with ``cores`` of processor time a second (``None``: all there is)."""
        number = len(self.hosts) + 1
        host = self._host(name, f"{_NETWORK}.{10 + number}", cores)
        port, switch = f"port{number}", self.head.namespace
        _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        _ip("-n", switch, "link", "set", port, "master", "switch", "up")
        self._connect(host.namespace, "eth0", host.address)
        self.hosts.append(host)
        return host

    def cut(self, host: Host) -> None:
        """Pulls the host's cable: what is sent to and from it is lost, and nobody is told."""
        self._port(host, "down")

    def join(self, host: Host) -> None:
        self._port(host, "up")

    def _port(self, host: Host, state: str) -> None:
        _ip("-n", self.head.namespace, "link", "set", f"port{self.hosts.index(host) + 1}", state)

    def _host(self, name: str, address: str, cores: float | None) -> Host:
        assert self._folder is not None
        host = Host(self._name, name, address, self._folder / name, cores)
        self._stack.callback(host.remove)
        return host

    def _connect(self, namespace: str, link: str, address: str) -> None:
        _ip("-n", namespace, "address", "add", f"{address}/{_LENGTH}", "dev", link)
        _ip("-n", namespace, "link", "set", link, "up")


def _share_toolchains(cache: Path) -> None:
    (cache / "toolchains").mkdir()
    for finished in sorted((cache_folder() / "toolchains").glob("*/.tinsmith-ready")):
        (cache / "toolchains" / finished.parent.name).symlink_to(finished.parent)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoHosts(f"ip {' '.join(words)}: {done.stderr.strip()}")


@contextmanager
def _claimed(name: str) -> Iterator[None]:
    """Held as long as this process lives, however it ends: so a later one sees what is left over."""
    _LOCKS.mkdir(exist_ok=True)
    with (_LOCKS / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
        (_LOCKS / name).unlink()


def _sweep() -> None:
    """Takes down the racks whose process is gone."""
    for path in sorted(_LOCKS.glob(f"{_PREFIX}*")):
        with path.open("w") as handle, suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for folder in groups.leftovers(f"{path.name}-"):
                groups.remove(folder)
            for namespace in sorted(Path("/run/netns").glob(f"{path.name}-*")):
                _ip("netns", "del", namespace.name)
            shutil.rmtree(Path(tempfile.gettempdir()) / path.name, ignore_errors=True)
            path.unlink()
