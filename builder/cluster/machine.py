"""What this machine, or the part of it that this process was given, has: memory, GPUs, toolchains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from builder.digest import Digest, digest_file
from builder.errors import NoEngine, UsageError
from builder.resources import docker_folder

RESERVED_MB = 512
"""Kept for the worker itself and the system."""

_MB = 2**20


def memory_mb(environ: Mapping[str, str], root: Path = Path("/")) -> float:
    """Memory for steps, in MB: the least of the machine's, the cgroup's limit and the Slurm job's, less RESERVED_MB.

    NoEngine if none of them can be read, or nothing is left.
    """
    limits = [*_machine(root), *_cgroup(root), *_slurm(environ)]
    left = min(limits, default=0.0) - RESERVED_MB
    if left <= 0:
        raise NoEngine(
            f"this machine has {min(limits):,.0f} MB of memory, too few for a step"
            if limits
            else "this machine does not tell how much memory it has",
            help="say what steps may use: --memory MB",
        )
    return left


def _machine(root: Path) -> list[float]:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                return [int(line.split()[1]) / 1024]
    return []


def _cgroup(root: Path) -> list[float]:
    """Limits of this process's cgroup and of those around it; in a container its own is the root of what is seen."""
    found: list[float] = []
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if number == "0":
                base, name = root / "sys/fs/cgroup", "memory.max"
            elif "memory" in controllers.split(","):
                base, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            else:
                continue
            folder = base / path.lstrip("/")
            for place in (folder, *folder.parents):
                with suppress(OSError, ValueError):
                    found.append(int((place / name).read_text()) / _MB)
                if place == base:
                    break
    return found


def _slurm(environ: Mapping[str, str]) -> list[float]:
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU"):
        with suppress(KeyError, ValueError):
            share = int(environ.get("SLURM_CPUS_ON_NODE", "1")) if name.endswith("CPU") else 1
            return [float(int(environ[name]) * share)]
    return []


def gpus(environ: Mapping[str, str], root: Path = Path("/")) -> int:
    """NVIDIA's, of those that this process may see."""
    folder = root / "proc/driver/nvidia/gpus"
    there = len(list(folder.iterdir())) if folder.is_dir() else 0
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    return there if chosen is None else min(there, len([part for part in chosen.split(",") if part.strip()]))


def toolchains(names: Sequence[str], folder: Path | None = None) -> dict[str, Digest]:
    """The digest of the requirements of each toolchain of ``names``, or of all there are if it is empty, by name.

    UsageError for a name that no toolchain has.
    """
    files = {path.parent.name: path for path in sorted((folder or docker_folder()).glob("*/requirements.lock"))}
    for name in names:
        if name not in files:
            raise UsageError(f"no toolchain is called '{name}'", help=f"toolchains: {', '.join(files)}")
    return {name: digest_file(path) for name, path in files.items() if not names or name in names}
