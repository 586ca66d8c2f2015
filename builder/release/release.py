"""A release and what is attached to it, read from OCI documents that nobody vouches for."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from builder.digest import Digest, digest_bytes, parse_digest
from builder.errors import IntegrityError
from builder.release.document import (
    ARTIFACT_TYPE,
    CONFIG_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    TITLE,
    VERSION,
)

LARGEST_DOCUMENT = 4 << 20
"""Bytes of an OCI manifest or index; registries refuse larger ones, too."""
MOST_FILES = 10_000
LONGEST_TEXT = 1 << 16
"""Characters of an annotation."""


@dataclass(frozen=True)
class Blob:
    digest: Digest
    size: int


@dataclass(frozen=True)
class Release:
    """``files`` maps titles to (digest, size in bytes); ``digest`` is the OCI manifest's and names the release.

    ``size`` is the OCI manifest's, in bytes; ``config`` the blob of ModelPack's description.
    """

    name: str
    version: str
    digest: Digest
    size: int
    config: Blob
    files: Mapping[str, tuple[Digest, int]]
    annotations: Mapping[str, str]

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class Attachment:
    """A file about a release: facts of the run that made it, its provenance. ``manifest`` is its OCI manifest."""

    artifact_type: str
    title: str
    digest: Digest
    size: int
    manifest: Digest


def parse_release(data: bytes) -> Release:
    """The release whose OCI manifest is ``data``. IntegrityError if it is none, or could not be written to a disk."""
    digest = digest_bytes(data)
    document = _document(data, f"the OCI manifest {digest}")
    try:
        if document["schemaVersion"] != 2 or document["mediaType"] != MANIFEST_TYPE:
            raise ValueError("not an OCI manifest")
        if document["artifactType"] != ARTIFACT_TYPE or document["config"]["mediaType"] != CONFIG_TYPE:
            raise ValueError("not a model")
        annotations = {_text(key): _text(value) for key, value in document["annotations"].items()}
        layers = document["layers"]
        if not layers or len(layers) > MOST_FILES:
            raise ValueError(f"{len(layers)} files")
        files = {safe_title(layer["annotations"][TITLE]): pair(layer) for layer in layers}
        if len(files) != len(layers) or any(
            str(parent) in files for title in files for parent in PurePosixPath(title).parents
        ):
            raise ValueError("two files of one name")
        return Release(
            name=_word(annotations[TITLE]),
            version=_word(annotations[VERSION]),
            digest=digest,
            size=len(data),
            config=Blob(*pair(document["config"])),
            files=files,
            annotations=annotations,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{digest} is not a tinsmith release: {error!r}") from error


def parse_attachment(data: bytes, subject: Digest) -> Attachment:
    """The attachment whose OCI manifest is ``data``. IntegrityError if it is none, or belongs to something else."""
    digest = digest_bytes(data)
    document = _document(data, f"the OCI manifest {digest}")
    try:
        (layer,) = document["layers"]
        if document["mediaType"] != MANIFEST_TYPE:
            raise ValueError("not an OCI manifest")
        if document["subject"]["digest"] != subject:
            raise ValueError("attached to something else")
        return Attachment(
            _type(document["artifactType"]), safe_title(layer["annotations"][TITLE]), *pair(layer), manifest=digest
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{digest} is not attached to {subject}: {error!r}") from error


def parse_referrers(data: bytes) -> list[Blob]:
    """The OCI manifests that an index of referrers names. IntegrityError if it is no OCI index."""
    digest = digest_bytes(data)
    document = _document(data, f"the OCI index {digest}")
    try:
        entries = document["manifests"]
        if document["mediaType"] != INDEX_TYPE or len(entries) > MOST_FILES:
            raise ValueError("not an OCI index")
        return [Blob(*pair(entry)) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{digest} is not an OCI index: {error!r}") from error


def safe_title(title: object) -> str:
    """``title`` if it is a relative path of plain names that any file system can take. ValueError if not."""
    if not isinstance(title, str) or not title or len(title.encode()) > 400 or not title.isprintable():
        raise ValueError(f"unsafe file name {title!a:.100}")
    path = PurePosixPath(title)
    plain = str(path) == title and path.parts and not path.is_absolute() and ".." not in path.parts
    if not plain or any(sign in title for sign in '\\:*?"<>|'):
        raise ValueError(f"unsafe file name {title!a:.100}")
    return title


def pair(entry: Mapping[str, Any]) -> tuple[Digest, int]:
    """Digest and size of a descriptor. ValueError, KeyError or TypeError if it has none that can be meant."""
    digest, size = parse_digest(entry["digest"]), entry["size"]
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise ValueError(f"a size of {size!a:.40}")
    return digest, size


def _text(text: object) -> str:
    """A text that can be written down and shown: no control characters but those that end lines."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise ValueError(f"an annotation of {text!a:.100}")
    text.encode()
    if any(unicodedata.category(sign) == "Cc" and sign != "\n" for sign in text):
        raise ValueError(f"control characters in an annotation: {text!a:.100}")
    return text


def _type(text: object) -> str:
    """A media type: printable ASCII."""
    if not isinstance(text, str) or not re.fullmatch(r"[\x21-\x7e]{1,255}", text):
        raise ValueError(f"a type of {text!a:.100}")
    return text


def _word(text: str) -> str:
    """A name or version: one printable word, as a manifest allows it."""
    if not 0 < len(text) <= 128 or not all(sign.isascii() and (sign.isalnum() or sign in "._+-") for sign in text):
        raise ValueError(f"a name of {text!a:.100}")
    return text


def _document(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > LARGEST_DOCUMENT:
        raise IntegrityError(f"{what} is larger than {LARGEST_DOCUMENT:,} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{what} is not JSON: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise IntegrityError(f"{what} is not a JSON object")
    return document
