"""Names as they can stand in paths and addresses, on every file system, no two alike."""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""What Windows takes for devices."""


def slug(name: str) -> str:
    """``name`` itself where it is plain, else a likeness with a piece of its SHA-256.

    Depends on nothing but the name, so that an address stays when other names come. An upper-case name is not plain:
    file systems differ in whether case counts.
    """
    if _PLAIN.fullmatch(name) and not name.endswith(".") and ".." not in name and not _DEVICES.fullmatch(name):
        return name
    like = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return "-".join(part for part in (like, hashlib.sha256(name.encode()).hexdigest()[:12]) if part)
