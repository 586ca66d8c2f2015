"""What a hashed requirements.lock pins: packages of PyPI by name, version and the files that they may be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.errors import LockError

_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[A-Za-z0-9._,-]*\])?==([A-Za-z0-9][A-Za-z0-9._+!-]*)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Package:
    """``hashes``: SHA-256 in hex of each file that would do, sorted: wheels of several platforms, the source."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Package URL, as the purl specification writes those of PyPI."""
        version = self.version.replace("+", "%2B").replace("!", "%21")
        return f"pkg:pypi/{self.name}@{version}"


def pinned_packages(text: str, what: str) -> tuple[Package, ...]:
    """The packages in the requirements file ``text``, in the order of their normalised names.

    LockError if a line is not NAME==VERSION with hashes: then it pins nothing.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        wanted = re.sub(r"(?:^|\s)#.*", "", line).strip()
        if not wanted:
            continue
        pinned, hashes = _PINNED.match(wanted), _HASH.findall(wanted)
        if pinned is None or not hashes:
            raise LockError(
                f"{what} does not pin {wanted[:80]!r} by version and hash", help="make it with uv pip compile"
            )
        name = re.sub(r"[-_.]+", "-", pinned[1]).lower()
        found.append(Package(name, pinned[2], tuple(sorted(set(hashes)))))
    return tuple(sorted(found, key=lambda package: (package.name, package.version)))
