"""Containers that a killed build left behind: each carries its owner's identity, so that one can tell."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import docker

from builder.engine.container import ENGINE_ERRORS, remove

RUN_LABEL = "tinsmith.run"
OWNER_LABEL = "tinsmith.owner"


def owner(pid: int | None = None) -> str:
    """``boot id:pid namespace:pid:start time`` of a process (this one): no other process ever has the same.

    FileNotFoundError if there is no such process.
    """
    pid = pid or os.getpid()
    stat = Path(f"/proc/{pid}/stat").read_text()
    started = stat.rpartition(")")[2].split()[19]
    return ":".join([*_here(), str(pid), started])


def _here() -> tuple[str, str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return boot, str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")


def sweep(client: docker.DockerClient) -> int:
    """Removes the containers of builds that are surely dead; returns how many.

    Only an owner of this boot and this pid namespace can be judged; others are left alone.
    """
    removed = 0
    with suppress(*ENGINE_ERRORS):
        for container in client.containers.list(all=True, filters={"label": RUN_LABEL}):
            if _dead(container.labels.get(OWNER_LABEL, "")):
                remove(client, str(container.id))
                removed += 1
    return removed


def _dead(label: str) -> bool:
    boot, _, rest = label.partition(":")
    namespace, _, rest = rest.partition(":")
    pid = rest.partition(":")[0]
    if (boot, namespace) != _here() or not pid.isdecimal():
        return False
    try:
        return owner(int(pid)) != label
    except (FileNotFoundError, ProcessLookupError):
        return True
