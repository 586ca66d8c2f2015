"""A release as a registry or a layout offers it, before its files are fetched: the OCI manifest and what is attached.

Who pulls decides on it (gate.py) before a byte is written for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from builder.digest import Digest, digest_bytes
from builder.errors import IntegrityError, UsageError
from builder.registry.reference import Named
from builder.release.document import EMPTY, MANIFEST_TYPE
from builder.release.layout import Layout
from builder.release.release import Attachment, Blob, Release, pair, parse_attachment
from builder.versions import Version, newest, parse_version

T = TypeVar("T")

LARGEST_ATTACHED = 32 << 20
MOST_ATTACHED = 256
LARGEST_TOGETHER = 64 << 20
"""Bytes of all attachments of a release, which are held in memory."""


@dataclass(frozen=True)
class Attached:
    """An attachment with its bytes; ``manifest`` is its OCI manifest, ``config`` the blob that this names."""

    attachment: Attachment
    manifest: bytes
    config: bytes
    data: bytes


@dataclass(frozen=True)
class Offer:
    """``manifest`` is the release's OCI manifest; ``where`` is how a user would name its place."""

    where: str
    release: Release
    manifest: bytes
    attached: tuple[Attached, ...] = ()

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The files and the config, each once."""
        return tuple(dict.fromkeys((*(Blob(*file) for file in self.release.files.values()), self.release.config)))


class Budget:
    """What may still be read of the attachments of one release."""

    def __init__(self, where: str, most: int = LARGEST_TOGETHER) -> None:
        self._where, self._most, self._left = where, most, most

    def take(self, size: int) -> None:
        """IntegrityError if ``size`` more bytes are too many."""
        self._left -= size
        if self._left < 0:
            raise IntegrityError(f"{self._where}: more than {self._most:,} bytes are attached to one release")

    def within(self, read: Callable[[Blob], bytes]) -> Callable[[Blob], bytes]:
        """``read`` for as long as the budget goes."""

        def reading(blob: Blob) -> bytes:
            self.take(blob.size)
            return read(blob)

        return reading


def read_attached(manifest: bytes, subject: Digest, read: Callable[[Blob], bytes], where: str) -> Attached | None:
    """The attachment with this OCI manifest; None if it is of a kind that tinsmith does not attach.

    IntegrityError if it belongs to something else than ``subject``, or is larger than attachments are.
    """
    try:
        attachment = parse_attachment(manifest, subject)
    except IntegrityError:
        if _subject(manifest) == subject:
            return None
        raise
    try:
        described = Blob(*pair(json.loads(manifest)["config"]))
    except (TypeError, KeyError, ValueError) as error:
        raise IntegrityError(f"{where}: the attachment {attachment.manifest} has no config") from error
    if max(attachment.size, described.size) > LARGEST_ATTACHED:
        raise IntegrityError(f"{where}: {attachment.title} is attached and larger than {LARGEST_ATTACHED:,} bytes")
    empty = described == Blob(digest_bytes(EMPTY), len(EMPTY))
    data = read(Blob(attachment.digest, attachment.size))
    return Attached(attachment, manifest, EMPTY if empty else read(described), data)


def _subject(manifest: bytes) -> object:
    try:
        document = json.loads(manifest)
        return document["subject"]["digest"] if document["mediaType"] == MANIFEST_TYPE else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def offer_in(layout: Layout, release: Release) -> Offer:
    """A release of a layout, with what is attached. IntegrityError if any of it is damaged."""
    attached, budget = [], Budget(str(layout.root))
    for attachment in layout.attachments(release):
        manifest = layout.document(attachment.manifest)
        budget.take(len(manifest))
        found = read_attached(manifest, release.digest, budget.within(layout.blob), str(layout.root))
        if found is not None:
            attached.append(found)
    return Offer(str(layout.root), release, layout.blob(Blob(release.digest, release.size)), tuple(attached))


def name_in(layout: Layout, name: str | None, which: Named) -> str:
    """``name``, or without one that of the digest's release or the only name there. UsageError if that says nothing."""
    if name:
        return name
    if which.digest is not None:
        return layout.find(which.digest).name
    names = sorted({release.name for release in layout.releases()})
    if len(names) != 1:
        raise UsageError(
            f"{layout.root} has releases of {len(names)} names, and none is said",
            help="say which: " + (", ".join(f"{layout.root}:{each}" for each in names[:10]) or "it is empty"),
        )
    return names[0]


def find_in(layout: Layout, name: str, which: Named, usable: Collection[str] | None = None) -> Offer:
    """The release of a layout that is meant; ``usable`` are the versions to choose from, None for all there.

    UsageError if there is none.
    """
    if which.digest is not None:
        return offer_in(layout, layout.find(which.digest))
    releases = [item for item in layout.releases() if item.name == name and (usable is None or item.version in usable)]
    named = [(release.version, release) for release in releases]
    if which.versions is None:
        # Not the last: the order of index.json is whoever's who can write to the folder.
        found = newest(named)
        return offer_in(layout, found if found is not None else layout.find(f"{name}@{usable or ''}"))
    known = by_version(named)
    best = which.versions.best(known)
    return offer_in(layout, known[best] if best is not None else layout.find(f"{name}@{which.versions.text}"))


def by_version(named: Sequence[tuple[str, T]]) -> Mapping[Version, T]:
    """What is called by a semantic version, by that."""
    found = ((parse_version(text), item) for text, item in named)
    return {version: item for version, item in found if version is not None}
