"""The signed index as an OCI artifact: an OCI manifest of one layer, under the tag ``tinsmith-index``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from builder.digest import Digest, canonical_json, digest_bytes
from builder.release.document import EMPTY, EMPTY_TYPE, MANIFEST_TYPE, TITLE, descriptor
from builder.trust.document import Open, malformed, read_document
from builder.trust.index import INDEX_TYPE

LAYER_TYPE = "application/vnd.dsse.envelope.v1+json"
LARGEST_ENVELOPE = 8 << 20


class _Descriptor(Open):
    media_type: Annotated[str, Field(alias="mediaType", max_length=256)]
    digest: Annotated[Digest, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=1, le=LARGEST_ENVELOPE)]


class _Written(Open):
    schema_version: Annotated[Literal[2], Field(alias="schemaVersion")]
    artifact_type: Annotated[str, Field(alias="artifactType", max_length=256)]
    layers: Annotated[list[_Descriptor], Field(min_length=1, max_length=1)]


@dataclass(frozen=True)
class Artifact:
    """``document`` is the OCI manifest, ``blobs`` what it names: both have to be there before the tag points to it."""

    document: bytes
    blobs: tuple[bytes, ...]


def index_artifact(envelope: bytes) -> Artifact:
    """The artifact that holds ``envelope``; the same bytes for the same envelope."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": INDEX_TYPE,
        "config": _described(EMPTY_TYPE, EMPTY),
        "layers": [{**_described(LAYER_TYPE, envelope), "annotations": {TITLE: "index.json"}}],
    }
    return Artifact(canonical_json(document), (EMPTY, envelope))


def envelope_of(document: bytes) -> tuple[Digest, int]:
    """(digest, size) of the envelope in the artifact whose OCI manifest is ``document``.

    IntegrityError (``malformed``) if it is not one of an index.
    """
    written = read_document(document, _Written, "the artifact of a signed index", largest=1 << 20)
    if written.artifact_type != INDEX_TYPE:
        raise malformed("the artifact of a signed index", f"it is of type {written.artifact_type!a}")
    return written.layers[0].digest, written.layers[0].size


def _described(media_type: str, data: bytes) -> dict[str, Any]:
    return descriptor(media_type, digest_bytes(data), len(data))
