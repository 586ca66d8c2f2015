"""OCI manifests, indexes and descriptors as they come from outside: strictly read, nothing believed. Pure.

Source: OCI image specification 1.1 (descriptor.md, manifest.md, image-index.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.digest import Digest, parse_digest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
REF_NAME = "org.opencontainers.image.ref.name"
LARGEST_DOCUMENT = 4 << 20
LARGEST_BLOB = 500 * 10**9
_MOST_ENTRIES = 10_000


@dataclass(frozen=True)
class Descriptor:
    """``size`` in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None

    @property
    def title(self) -> str | None:
        return self.annotations.get(TITLE)

    def document(self) -> dict[str, Any]:
        """As it stands in an index."""
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        if self.artifact_type is not None:
            found["artifactType"] = self.artifact_type
        return found


@dataclass(frozen=True)
class Document:
    """An OCI manifest."""

    artifact_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, each digest once."""
        found = {blob.digest: blob for blob in (*self.layers, *([self.config] if self.config else []))}
        return tuple(found.values())


def read_manifest(data: bytes) -> Document:
    """ValueError if ``data`` is no manifest of this kind."""
    value = parse_json(data)
    if value.get("mediaType", MANIFEST_TYPE) not in (MANIFEST_TYPE, DOCKER_MANIFEST_TYPE):
        raise ValueError("it is of another media type")
    layers = _list(value.get("layers"))
    config = value.get("config")
    found = Document(
        artifact_type=_text(value.get("artifactType", "")),
        config=None if config is None else read_descriptor(config),
        layers=tuple(read_descriptor(layer) for layer in layers),
        subject=None if value.get("subject") is None else read_descriptor(value["subject"]),
        annotations=_annotations(value.get("annotations")),
    )
    sizes: dict[str, int] = {}
    for blob in (*found.layers, *([found.config] if found.config else [])):
        if sizes.setdefault(blob.digest, blob.size) != blob.size:
            raise ValueError(f"it gives {blob.digest} two sizes")
    return found


def read_index(data: bytes) -> tuple[Descriptor, ...]:
    """The entries of an index. ValueError if ``data`` is none."""
    return index_entries(parse_json(data))


def index_entries(value: Mapping[str, Any]) -> tuple[Descriptor, ...]:
    """See ``read_index``."""
    if value.get("mediaType", INDEX_TYPE) != INDEX_TYPE:
        raise ValueError("it is of another media type")
    return tuple(read_descriptor(entry) for entry in _list(value.get("manifests")))


def read_descriptor(value: Any) -> Descriptor:
    if not isinstance(value, dict):
        raise ValueError("a descriptor is no object")
    size = value.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= LARGEST_BLOB:
        raise ValueError("a descriptor has no size that can be")
    kind = value.get("artifactType")
    return Descriptor(
        media_type=_text(value.get("mediaType")),
        digest=parse_digest(_text(value.get("digest"))),
        size=size,
        annotations=_annotations(value.get("annotations")),
        artifact_type=None if kind is None else _text(kind),
    )


def parse_json(data: bytes) -> dict[str, Any]:
    """A JSON object in which no key stands twice: readers might disagree about which one counts."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice")
        return found

    if len(data) > LARGEST_DOCUMENT:
        raise ValueError(f"it is larger than {LARGEST_DOCUMENT:,} bytes")
    try:
        value = json.loads(data, object_pairs_hook=unique)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_ENTRIES:
        raise ValueError("it has no list of entries")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError("a text is missing or too long")
    return value


def _annotations(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("annotations must be texts")
    return value
