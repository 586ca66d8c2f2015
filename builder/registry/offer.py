"""A release as a registry or a layout offers it, before its files are fetched: OCI manifest and attachments. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from builder.digest import Digest, digest_bytes, hex_of
from builder.errors import IntegrityError
from builder.registry.documents import (
    MANIFEST_TYPE,
    TITLE,
    VERSION,
    Descriptor,
    Document,
    read_manifest,
)
from builder.registry.versions import parse_version

LARGEST_ATTACHED = 32 << 20
MOST_ATTACHED = 256
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


@dataclass(frozen=True)
class Attached:
    """Something that refers to a release: its manifest, and its blobs by digest (small, read whole)."""

    manifest: bytes
    blobs: Mapping[Digest, bytes]

    @cached_property
    def document(self) -> Document:
        return read_manifest(self.manifest)

    @property
    def digest(self) -> Digest:
        return digest_bytes(self.manifest)

    @property
    def artifact_type(self) -> str:
        config = self.document.config
        return self.document.artifact_type or (config.media_type if config is not None else "")

    @property
    def files(self) -> Mapping[str, bytes]:
        """Titles of its layers -> their bytes; a layer without one is called by its digest."""
        return {layer.title or layer.digest: self.blobs[layer.digest] for layer in self.document.layers}

    @property
    def entry(self) -> Descriptor:
        """Its descriptor in the index of what refers to the release."""
        return Descriptor(
            MANIFEST_TYPE, self.digest, len(self.manifest), self.document.annotations, self.artifact_type
        )


@dataclass(frozen=True)
class Offer:
    """``where`` is how the user would name its place; ``files`` maps titles that are safe as paths to descriptors."""

    where: str
    manifest: bytes
    document: Document
    name: str
    version: str
    files: Mapping[str, Descriptor]
    attachments: tuple[Attached, ...] = ()

    @property
    def digest(self) -> Digest:
        return digest_bytes(self.manifest)

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def ref_name(self) -> str:
        """What a layout calls it."""
        return f"{self.name}:{self.version}"

    @property
    def referrers_tag(self) -> str:
        return referrers_tag(self.digest)


Admit = Callable[[Offer], None]
"""Raises what is to be raised if a release is not to be trusted."""


def referrers_tag(digest: Digest) -> str:
    """The tag of the index of all that refers to ``digest``, where a registry has no API for it."""
    return f"sha256-{hex_of(digest)}"


def read_offer(where: str, data: bytes) -> Offer:
    """IntegrityError if ``data`` is not the OCI manifest of a release."""
    try:
        document = read_manifest(data)
        name, version = document.annotations[TITLE], document.annotations[VERSION]
        if not _NAME.fullmatch(name) or parse_version(version) is None:
            raise ValueError(f"it is called {name[:80]!a}, {version[:80]!a}")
        files: dict[str, Descriptor] = {}
        for layer in document.layers:
            title = safe_title(layer.title)
            if title in files:
                raise ValueError(f"two files are called {title!a}")
            files[title] = layer
        for title in files:
            parts = title.split("/")
            if any("/".join(parts[:end]) in files for end in range(1, len(parts))):
                raise ValueError(f"{title!a} lies in a file")
    except KeyError as error:
        raise IntegrityError(f"{where} is not a release: it has no {error.args[0]}") from error
    except ValueError as error:
        raise IntegrityError(f"{where} is not a release: {error}") from error
    return Offer(where, data, document, name, version, files)


def read_attached(where: str, subject: Digest, data: bytes) -> Attached:
    """The attachment to ``subject`` with the manifest ``data``, its blobs still missing. IntegrityError if it is none."""
    found = Attached(data, {})
    try:
        document = found.document
    except ValueError as error:
        raise IntegrityError(f"{where} has an attachment {found.digest} that cannot be read: {error}") from error
    if document.subject is None or document.subject.digest != subject:
        raise IntegrityError(f"{where} has an attachment {found.digest} that belongs to something else")
    if sum(blob.size for blob in document.blobs) > LARGEST_ATTACHED:
        raise IntegrityError(f"{where} has an attachment {found.digest} of more than {LARGEST_ATTACHED:,} bytes")
    return found


def safe_title(title: str | None) -> str:
    """``title`` if it is a plain relative path, the same on every system; ValueError if not."""
    if title is None:
        raise ValueError("a layer has no title")
    parts = title.split("/")
    if (
        len(title) > 1000
        or any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts)
        or re.search(r'[\x00-\x1f\x7f-\x9f\\:*?"<>|\u2028\u2029\ud800-\udfff]', title)
    ):
        raise ValueError(f"unsafe file name {title[:100]!a}")
    return title
