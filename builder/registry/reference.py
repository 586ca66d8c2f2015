"""What names a release elsewhere: in a registry, in a folder with an OCI layout, or in the local releases. Pure.

``host[:port]/repository[:version]``, ``…@sha256:<hex>``, ``…@^1.2``; ``./folder[:name[@version]]``; ``name[@version]``.
As docker has it, what comes before the first slash is a host if it holds a dot or a port, or is ``localhost``; any
other path is a folder.
Source: OCI distribution specification 1.1 (the grammar of repository names and tags).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from builder.digest import Digest, is_digest, parse_digest
from builder.errors import UsageError
from builder.versions import Range, parse_range

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?", re.ASCII)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_LONGEST = 255
_HELP = "host/repository:version, host/repository@sha256:…, host/repository@^1.2, or a folder such as ./mirror"


@dataclass(frozen=True)
class Named:
    """Which release of a name: one by digest, those in a range, or (neither) the newest."""

    digest: Digest | None = None
    versions: Range | None = None


@dataclass(frozen=True)
class Remote:
    """A repository of the registry at ``host``. ``tag`` is as written, if it was."""

    host: str
    repository: str
    tag: str | None = None
    which: Named = Named()

    @property
    def place(self) -> str:
        return f"{self.host}/{self.repository}"

    def __str__(self) -> str:
        versions = f"@{self.which.versions.text}" if self.which.versions else ""
        return (
            self.place
            + (f":{self.tag}" if self.tag else "")
            + (f"@{self.which.digest}" if self.which.digest else versions)
        )


@dataclass(frozen=True)
class Folder:
    """An OCI layout at ``path`` and the release in it; without a ``name``, the only one there."""

    path: Path
    name: str | None = None
    which: Named = Named()


@dataclass(frozen=True)
class Local:
    """A release of the project's own layout; the name may be empty if a digest is given."""

    name: str
    which: Named = Named()


def parse_reference(text: str) -> Remote | Folder:
    """UsageError if ``text`` is neither a repository nor a folder."""
    if not text or len(text) > 4096 or any(ord(character) < 32 for character in text):
        raise _wrong(text, "is no reference")
    host, slash, rest = text.partition("/")
    if slash and (host == "localhost" or ("." in host.strip(".")) or ":" in host) and not host.startswith("."):
        return _remote(text, host, rest)
    if not slash and text not in (".", ".."):
        raise _wrong(text, "names no host and is no path")
    return _folder(text)


def parse_release(text: str) -> Local:
    """``name``, ``name@version``, ``name@range``, ``name:version`` or a digest."""
    if is_digest(text):
        return Local("", Named(digest=parse_digest(text)))
    name, which = _split(text)
    if which == Named() and ":" in name:
        name, _, version = name.partition(":")
        which = Named(versions=parse_range(version))
    return Local(name, which)


def is_reference(text: str) -> bool:
    """Whether ``text`` is a ``parse_reference``, not a ``parse_release``: it has a slash."""
    return "/" in text or text in (".", "..")


def variant_of(reference: Remote | Folder | Local, variant: str) -> Remote | Folder | Local:
    """The release of the family's ``variant``, which is named NAME-VARIANT; its version or range is kept."""
    if not re.fullmatch(r"[a-z0-9]+(?:-+[a-z0-9]+)*", variant, re.ASCII):
        raise UsageError(f"--variant: {variant[:100]!a} is no variant", help="such as int8 or d050-int8")
    if reference.which.digest is not None:
        raise UsageError("--variant: a digest names one release already")
    if isinstance(reference, Remote):
        return replace(reference, repository=f"{reference.repository}-{variant}")
    if not reference.name:
        raise UsageError("--variant needs the name of the family", help="FOLDER:NAME --variant int8")
    return replace(reference, name=f"{reference.name}-{variant}")


def _remote(text: str, host: str, rest: str) -> Remote:
    rest, which = _split(rest)
    repository, colon, tag = rest.partition(":")
    if not _HOST.fullmatch(host):
        raise _wrong(text, f"has no host that can be asked: {host[:100]!a}")
    if not _REPOSITORY.fullmatch(repository) or len(repository) + len(host) > _LONGEST:
        raise _wrong(text, f"has no repository name: {repository[:100]!a}")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong(text, f"has no tag: {tag[:100]!a}")
    if tag and which.versions is not None:
        raise _wrong(text, "has both a tag and a range")
    return Remote(host, repository, tag or None, which)


def _folder(text: str) -> Folder:
    text, which = _split(text)
    above, slash, last = text.rpartition("/")
    last, colon, name = last.partition(":")
    if colon and not name:
        raise _wrong(text, "ends with a colon")
    if ":" in name and which == Named():
        name, _, version = name.partition(":")
        which = Named(versions=parse_range(version))
    return Folder(Path(above + slash + last), name or None, which)


def _split(text: str) -> tuple[str, Named]:
    """What stands before the last ``@``, and what it says."""
    before, at, after = text.rpartition("@")
    if not at:
        return text, Named()
    if after.startswith("sha256:"):
        if not is_digest(after):
            raise _wrong(text, "has no whole digest")
        return before, Named(digest=parse_digest(after))
    return before, Named(versions=parse_range(after))


def _wrong(text: str, problem: str) -> UsageError:
    return UsageError(f"{text[:200]!a} {problem}", help=_HELP)
