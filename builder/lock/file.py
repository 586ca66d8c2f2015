"""The lock as a file beside its manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.errors import LockError
from builder.lock.model import Lock
from builder.manifest.load import validate
from builder.manifest.scalars import resolve
from builder.manifest.source import decode, read_text
from builder.whole import write_whole

_HEADER = "# What every name in the manifest stood for. Written by 'tinsmith lock'; commit it, do not edit it.\n"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*")


def load_lock(path: Path) -> Lock:
    """The lock at ``path``; LockError if there is none, InvalidManifest if it is not a lock."""
    if not path.exists():
        raise LockError(
            f"there is no lock {path}", help=f"run: tinsmith lock {path.with_suffix('.yaml')}", code="not-locked"
        )
    return validate(read_text(path), str(path), Lock, "the lock")


def parse_lock(data: bytes, file: str) -> Lock:
    """The lock in ``data``; ``file`` is what errors call it. InvalidManifest if it is not a lock."""
    return validate(decode(data, file), file, Lock, "the lock")


def write_lock(lock: Lock, path: Path) -> None:
    """Writes ``lock`` to ``path`` at once: a reader never sees half of it."""
    write_whole(path, lock_text(lock).encode("utf-8"))


def lock_text(lock: Lock) -> str:
    """The YAML of ``lock``: the same text for the same lock."""
    return _HEADER + "".join(_lines(lock.model_dump(mode="json", exclude_none=True), ""))


def _lines(section: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield f"{indent}{_scalar(key)}:\n"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{_scalar(key)}: {_scalar(value)}\n"


def _scalar(value: str | int | Sequence[str]) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and resolve(value) == value):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
