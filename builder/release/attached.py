"""The provenances attached to a release, as bytes."""

from __future__ import annotations

from builder.release.layout import Layout
from builder.release.release import Release
from builder.trust.statement import PAYLOAD_TYPE, SIGNED_PROVENANCE, Subject


def subject_of(release: Release) -> Subject:
    return Subject(release.name, release.version, release.digest)


def signed_provenances(layout: Layout, release: Release) -> list[bytes]:
    """The bytes of every signed provenance of ``release``."""
    return _of_type(layout, release, SIGNED_PROVENANCE)


def unsigned_provenances(layout: Layout, release: Release) -> list[bytes]:
    """The bytes of every statement about ``release`` that nobody signed; not all need to be provenances."""
    return _of_type(layout, release, PAYLOAD_TYPE)


def _of_type(layout: Layout, release: Release, artifact_type: str) -> list[bytes]:
    found = (item for item in layout.attachments(release) if item.artifact_type == artifact_type)
    return [layout.read_attachment(item) for item in found]
