"""The signed index of versions of one repository: see ``builder.trust.publish.IndexPlace``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from builder.registry.client import Registry
from builder.registry.push import send_small
from builder.registry.reference import Remote
from builder.release.document import MANIFEST_TYPE
from builder.release.release import Blob
from builder.trust.artifact import envelope_of, index_artifact
from builder.trust.index import INDEX_TAG


@dataclass(frozen=True)
class RegistryIndex:
    """The index of the repository of ``remote`` in ``registry``. StoreUnreachable if that does not answer."""

    registry: Registry
    remote: Remote
    emit: Callable[[str, Mapping[str, Any]], None]

    @property
    def repository(self) -> str:
        return self.remote.place

    @property
    def place(self) -> str:
        return self.remote.place

    def read(self) -> bytes | None:
        document = self.registry.tagged(self.remote.repository, INDEX_TAG)
        if document is None:
            return None
        return self.registry.small_blob(self.remote.repository, Blob(*envelope_of(document)))

    def write(self, envelope: bytes) -> None:
        artifact = index_artifact(envelope)
        send_small(self.registry, self.remote.repository, artifact.blobs, self.emit)
        self.registry.put_manifest(self.remote.repository, INDEX_TAG, artifact.document, MANIFEST_TYPE)
