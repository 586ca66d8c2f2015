"""Digests and the one canonical JSON form they are taken over."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NewType

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hex digits, as in the OCI image specification."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def parse_digest(text: str) -> Digest:
    """``text`` as a Digest; ValueError if it is not one."""
    if not is_digest(text):
        raise ValueError(f"not a sha256 digest: {text!a:.100}")
    return Digest(text)


def hex_of(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; NaN and infinities are a ValueError."""
    return _CANONICAL.encode(value).encode()


def digest_bytes(data: bytes) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def digest_json(value: Any) -> Digest:
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> Digest:
    with path.open("rb") as stream:
        return Digest("sha256:" + hashlib.file_digest(stream, "sha256").hexdigest())
