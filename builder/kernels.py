"""The compiled part of a toolchain: sources that are built into it when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.digest import Digest, digest_bytes, digest_json

KERNELS = "kernels"
"""The folder of a toolchain that holds them; a toolchain without it has none."""

COMPILE = "compile.py"
"""Run by the toolchain's own Python, it puts the compiled libraries into that Python's environment."""

_SUFFIXES = {".cc", ".h", ".py"}


def kernel_sources(folder: Path) -> dict[str, bytes]:
    """File name -> bytes of the kernels of the toolchain in ``folder``, sorted; empty if it has none."""
    paths = sorted((folder / KERNELS).glob("*"))
    return {path.name: path.read_bytes() for path in paths if path.suffix in _SUFFIXES}


def kernels_digest(sources: Mapping[str, bytes]) -> Digest | None:
    """One digest for all of them; None if there are none."""
    return digest_json({name: digest_bytes(data) for name, data in sources.items()}) if sources else None
