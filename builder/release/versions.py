"""The signed index of the versions of one release name in a layout."""

from __future__ import annotations

from dataclasses import dataclass

from builder.errors import UsageError
from builder.release.attached import subject_of
from builder.release.layout import Layout
from builder.release.release import Blob
from builder.release.sign import is_signed
from builder.trust.artifact import envelope_of, index_artifact
from builder.trust.index import INDEX_TAG, INDEX_TYPE, Index, listing
from builder.trust.keys import PublicKey


@dataclass(frozen=True)
class LayoutIndex:
    """Where the index of ``name`` lies in ``layout``: see ``builder.trust.publish.IndexPlace``."""

    layout: Layout
    name: str

    @property
    def repository(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        return f"{self.layout.root.absolute()}:{self.name}"

    @property
    def _tag(self) -> str:
        return f"{self.name}:{INDEX_TAG}"

    def read(self) -> bytes | None:
        tagged = self.layout.tags().get(self._tag)
        if tagged is None:
            return None
        digest, size = envelope_of(self.layout.blob(tagged))
        return self.layout.blob(Blob(digest, size))

    def write(self, envelope: bytes) -> None:
        artifact = index_artifact(envelope)
        self.layout.put(self._tag, artifact.document, INDEX_TYPE, artifact.blobs)


def listing_all(index: Index, layout: Layout, key: PublicKey) -> Index:
    """``index`` with every release of its name that lies in ``layout``. Errors as for ``listing``.

    UsageError (``unsigned``) if ``key`` did not sign one of them: whoever signs an index vouches for what it lists.
    """
    for release in layout.releases():
        if release.name != index.name:
            continue
        if not is_signed(layout, release, key):
            raise UsageError(
                f"{release.ref} is not signed by this key", help=f"tinsmith sign {release.ref}", code="unsigned"
            )
        index = listing(index, subject_of(release), release.size)
    return index
