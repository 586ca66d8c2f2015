"""One container's life: its options, its output, its end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException
from docker.types import Mount, Ulimit

from builder.engine.events import Stream
from builder.errors import StepFailed

ENGINE_ERRORS = (DockerException, requests.RequestException, OSError)
"""What the SDK raises when the daemon goes away or answers nonsense, whichever layer notices."""

_QUIET_SECONDS = 10.0
"""After so long without output, ask whether the container still runs: a dead daemon may be just silent."""
_FIRST_LOOK_SECONDS, _LOOK_SECONDS = 0.1, 5.0
"""Between looks at the container's memory: at first, and at most. Meanwhile what it prints waits in its pipe."""
_SETTLE_SECONDS = 20.0
_HEADER = 8
_STREAMS: Mapping[int, Stream] = {1: "stdout", 2: "stderr"}


def hardened(user: str, memory_mb: int, cpus: int, mounts: list[Mount]) -> dict[str, Any]:
    """Host options: no network, no capabilities, nothing writable but the mounts and a private /tmp."""
    uid, _, gid = user.partition(":")
    return {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "ipc_mode": "private",
        "init": True,
        "pids_limit": 1024,
        "mem_limit": f"{memory_mb}m",
        "memswap_limit": f"{memory_mb}m",
        "nano_cpus": cpus * 10**9,
        "ulimits": [Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=4096, hard=4096)],
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,size={memory_mb // 2}m,mode=700,uid={uid},gid={gid}"},
        "mounts": mounts,
    }


def attach(client: docker.DockerClient, name: str) -> Any:
    """A socket with the output of container ``name``; taken before it starts, nothing is lost."""
    return client.api.attach_socket(name, params={"stdout": 1, "stderr": 1, "stream": 1})


def detach(attached: Any) -> None:
    """Closes what ``attach`` gave, in all its layers: the HTTP response it came in, the SDK's object, the socket."""
    for part in ("_response", "_sock"):
        if (layer := getattr(attached, part, None)) is not None:
            layer.close()
    attached.close()


def frames(
    client: docker.DockerClient, name: str, attached: Any, looked: Callable[[float | None], None]
) -> Iterator[tuple[Stream, bytes]]:
    """The output of the container, as it comes, until it has ended; ``engine-lost`` if the daemon goes away.

    Each frame has a header of 8 bytes: the stream's number in the first, the length in the last four. ``looked`` is
    told now and then how many MB it uses, or None where the daemon does not say; what it raises ends this.
    """
    connection: socket.socket = getattr(attached, "_sock", attached)
    looks, heard = _Looks(), time.monotonic()
    buffer = b""
    while True:
        if looks.due():
            looked(used_mb(client, name))
        connection.settimeout(min(looks.pause, _QUIET_SECONDS))
        try:
            data = connection.recv(1 << 16)
        except TimeoutError:
            if time.monotonic() - heard < _QUIET_SECONDS:
                continue
            if _state(client, name)["Running"]:
                heard = time.monotonic()
                continue
            return
        except OSError as error:
            raise engine_lost(name, error) from error
        if not data:
            return
        heard = time.monotonic()
        buffer += data
        while len(buffer) >= _HEADER:
            end = _HEADER + int.from_bytes(buffer[4:_HEADER], "big")
            if len(buffer) < end:
                break
            if stream := _STREAMS.get(buffer[0]):
                yield stream, buffer[_HEADER:end]
            buffer = buffer[end:]


class _Looks:
    """When to look next: ever more seldom."""

    def __init__(self) -> None:
        self.pause, self._last = _FIRST_LOOK_SECONDS, time.monotonic()

    def due(self) -> bool:
        if time.monotonic() - self._last < self.pause:
            return False
        self.pause, self._last = min(2 * self.pause, _LOOK_SECONDS), time.monotonic()
        return True


def used_mb(client: docker.DockerClient, name: str) -> float | None:
    """Memory that the container uses, what it keeps of files not counted; None if the daemon does not say."""
    try:
        # One sample, as it is: else the daemon waits a second for another, to tell how busy processors are.
        said = client.api.stats(name, stream=False, one_shot=True)["memory_stats"]["stats"]
        # Of cgroups version 2, and 1.
        private = said["anon"] if "anon" in said else said["total_rss"]
        return int(private + said.get("shmem", said.get("total_shmem", 0))) / 2**20 or None
    except (*ENGINE_ERRORS, KeyError, TypeError, ValueError):
        return None


def ended(client: docker.DockerClient, name: str) -> tuple[int, bool]:
    """The exit code, and whether memory ran out, of a container whose output has ended.

    The output also ends when the daemon dies: then it does not answer, or the container is said to run on.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        state = _state(client, name)
        if not state["Running"]:
            return int(state["ExitCode"]), bool(state["OOMKilled"])
        if time.monotonic() > deadline:
            raise engine_lost(name, RuntimeError("its output ended, but it runs on"))
        time.sleep(0.05)


def _state(client: docker.DockerClient, name: str) -> Mapping[str, Any]:
    try:
        state: Mapping[str, Any] = client.api.inspect_container(name)["State"]
    except ENGINE_ERRORS as error:
        raise engine_lost(name, error) from error
    return state


def remove(client: docker.DockerClient, name: str) -> None:
    """Kills and removes the container, if the daemon still answers; one that is gone is fine."""
    with suppress(*ENGINE_ERRORS):
        client.api.remove_container(name, force=True, v=True)


def stop(client: docker.DockerClient, name: str, seconds: int) -> None:
    """Lets the container end by itself within ``seconds``."""
    with suppress(*ENGINE_ERRORS):
        client.api.stop(name, timeout=seconds)


def engine_lost(name: str, error: Exception) -> StepFailed:
    reason = error.explanation if isinstance(error, APIError) else error
    return StepFailed(
        f"the Docker engine was lost while {name} ran: {reason}",
        help="when it answers again, run the same command: what was finished is kept",
        code="engine-lost",
    )
