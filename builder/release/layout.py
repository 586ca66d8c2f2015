"""Releases as an OCI image layout on disk: one artifact per ``name:version``, written once.

Source: OCI image specification 1.1 (image-layout.md). Blobs come first, then the OCI manifest, and ``index.json`` is
replaced last and at once, so a reader never sees half a release. What is attached to a release is listed under the
tag of its referrers, as in a registry without the referrers API, so that tools which copy tags copy it too.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builder.digest import Digest, canonical_json, digest_bytes, hex_of
from builder.errors import IntegrityError, StoreUnreachable, UsageError
from builder.release.document import (
    ARTIFACT_TYPE,
    EMPTY,
    INDEX_TYPE,
    MANIFEST_TYPE,
    attachment_document,
    attachment_entry,
    descriptor,
    referrers_document,
    referrers_tag,
    release_document,
)
from builder.release.files import holds, open_regular, read_regular
from builder.release.release import (
    LARGEST_DOCUMENT,
    Attachment,
    Blob,
    Release,
    pair,
    parse_attachment,
    parse_referrers,
    parse_release,
    safe_title,
)
from builder.versions import newest
from builder.whole import write_whole

REF_NAME = "org.opencontainers.image.ref.name"


class Layout:
    """An OCI image layout in ``root``; made on the first release."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def releases(self, broken: Callable[[IntegrityError], None] | None = None) -> list[Release]:
        """Every release, by name and then in the order of ``index.json``, which says nothing of their age.

        ``broken`` is told of each that cannot be read, which is then left out; without it that is an error.
        """
        found = []
        for entry in self._index():
            if entry.get("artifactType") in (ARTIFACT_TYPE, None) and entry["mediaType"] == MANIFEST_TYPE:
                try:
                    found.append(self._release(entry))
                except IntegrityError as error:
                    if broken is None:
                        raise
                    broken(error)
        return sorted(found, key=lambda release: release.name)

    def find(self, ref: str) -> Release:
        """``name`` (its highest version), ``name@version`` or a digest. UsageError if there is none such."""
        releases = self.releases()
        meant = [
            (release.version, release)
            for release in releases
            if ref in (release.name, release.ref, f"{release.name}:{release.version}", release.digest)
        ]
        if (found := newest(meant)) is not None:
            return found
        known = ", ".join(release.ref for release in releases) or "none yet"
        raise UsageError(f"{self.root} has no release '{ref}'", help=f"releases there: {known}")

    def read(self, release: Release, title: str) -> bytes:
        """One file of a release, checked against its digest and size."""
        return self.blob(Blob(*release.files[title]))

    def attachments(self, release: Release) -> list[Attachment]:
        """What is attached to ``release``, in the order of their OCI manifests' digests."""
        return [parse_attachment(self._document(blob), release.digest) for blob in self._referrers(release.digest)]

    def read_attachment(self, attachment: Attachment) -> bytes:
        return self.blob(Blob(attachment.digest, attachment.size))

    def blob(self, blob: Blob) -> bytes:
        """The bytes of a blob. IntegrityError if it is missing, or not what its digest and size say."""
        try:
            with open_regular(self.blob_path(blob.digest)) as stream:
                if (size := os.fstat(stream.fileno()).st_size) != blob.size:
                    raise IntegrityError(f"the blob {blob.digest} in {self.root} has {size} bytes, not {blob.size}")
                data = stream.read(blob.size + 1)
        except FileNotFoundError:
            raise self._lacks(blob.digest) from None
        return self._checked(blob.digest, data)

    def document(self, digest: Digest) -> bytes:
        """An OCI manifest or index whose size is not known. IntegrityError as for ``blob``, or if it is too large."""
        try:
            return self._checked(digest, read_regular(self.blob_path(digest), LARGEST_DOCUMENT))
        except FileNotFoundError:
            raise self._lacks(digest) from None

    def blob_path(self, digest: Digest) -> Path:
        return self.root / "blobs" / "sha256" / hex_of(digest)

    def tags(self) -> dict[str, Blob]:
        """What every tag of ``index.json`` points to."""
        return {
            entry["annotations"][REF_NAME]: Blob(*pair(entry))
            for entry in self._index()
            if REF_NAME in (entry.get("annotations") or {})
        }

    def add(
        self, name: str, version: str, files: Mapping[str, bytes], annotations: Mapping[str, str]
    ) -> tuple[Release, bool]:
        """Writes a release of ``files`` and says whether it is new.

        The same name and version with the same bytes is left as it is; with others it is an IntegrityError (exit 7)
        naming the files that differ. ``files`` whose names are unsafe are a ValueError.
        """
        described = {safe_title(title): (digest_bytes(data), len(data)) for title, data in files.items()}
        document, config = release_document(name, version, described, annotations)
        made = parse_release(document)
        with self._locked():
            for known in self.releases():
                if (known.name, known.version) == (name, version):
                    if known.digest != made.digest:
                        raise _other_bytes(known, made)
                    return known, False
            for data in (*files.values(), config, document):
                self._write(data)
            self._tag({f"{name}:{version}": _of_type(ARTIFACT_TYPE, document)})
        return made, True

    def attach(self, release: Release, artifact_type: str, title: str, data: bytes) -> Attachment:
        """Writes ``data`` as something said about ``release``; the same again changes nothing."""
        subject = descriptor(MANIFEST_TYPE, release.digest, release.size)
        document = attachment_document(subject, artifact_type, safe_title(title), data)
        made = parse_attachment(document, release.digest)
        with self._locked():
            entries = {item.manifest: item for item in self.attachments(release)}
            if made.manifest not in entries:
                for content in (EMPTY, data, document):
                    self._write(content)
                index = self._referrers_with(release, [document])
                self._write(index)
                self._tag({referrers_tag(release.digest): _described(INDEX_TYPE, index)})
        return made

    def put(self, tag: str, document: bytes, artifact_type: str, contents: Iterable[bytes]) -> None:
        """Points ``tag`` to an OCI manifest that is neither a release nor attached to one; it replaces an older one."""
        with self._locked():
            for data in (*contents, document):
                self._write(data)
            self._tag({tag: _of_type(artifact_type, document)})

    def accept(
        self, document: bytes, blobs: Mapping[Digest, Path], attached: Sequence[Sequence[bytes]] = ()
    ) -> tuple[Release, bool]:
        """Adds a release that was made elsewhere, byte for byte, and says whether it is new.

        ``document`` is its OCI manifest; ``blobs``, checked by the caller, are moved here from where they lie; of each
        of ``attached`` the first is the OCI manifest, the others its blobs. All of it appears or nothing. The same
        name and version with another digest is an IntegrityError (exit 7).
        """
        made = parse_release(document)
        with self._locked():
            known = next((item for item in self.releases() if item.ref == made.ref), None)
            if known is not None and known.digest != made.digest:
                raise _other_bytes(known, made)
            written: list[Path] = []
            try:
                for digest, path in blobs.items():
                    written += _move(path, self.blob_path(digest))
                for data in (document, *(data for item in attached for data in item)):
                    written += self._write(data)
                tags = {f"{made.name}:{made.version}": _of_type(ARTIFACT_TYPE, document)}
                if attached:
                    index = self._referrers_with(made, [manifest for manifest, *_ in attached])
                    written += self._write(index)
                    tags[referrers_tag(made.digest)] = _described(INDEX_TYPE, index)
                self._tag(tags)
            except BaseException:
                for path in written:
                    path.unlink(missing_ok=True)
                raise
        return made, known is None

    def _referrers_with(self, release: Release, manifests: Sequence[bytes]) -> bytes:
        """The index of the release's referrers with ``manifests`` among them."""
        listed = {item.manifest: item for item in self.attachments(release)}
        listed |= {item.manifest: item for item in (parse_attachment(data, release.digest) for data in manifests)}
        return referrers_document(
            [attachment_entry(self.document(item.manifest), item.artifact_type, item.title) for item in listed.values()]
        )

    def _release(self, entry: Mapping[str, Any]) -> Release:
        release = parse_release(self._document(Blob(*pair(entry))))
        tag = (entry.get("annotations") or {}).get(REF_NAME)
        # Tools that copy single releases give them tags of their own; only ours say the name.
        if tag is not None and ":" in tag and tag != f"{release.name}:{release.version}":
            raise IntegrityError(f"{self.root} calls {release.ref} {tag!a:.100}")
        return release

    def _referrers(self, digest: Digest) -> list[Blob]:
        listed = self.tags().get(referrers_tag(digest))
        return parse_referrers(self._document(listed)) if listed is not None else []

    def _document(self, blob: Blob) -> bytes:
        if blob.size > LARGEST_DOCUMENT:
            raise IntegrityError(f"{self.root}: the document {blob.digest} is larger than {LARGEST_DOCUMENT:,} bytes")
        return self.blob(blob)

    def _checked(self, digest: Digest, data: bytes) -> bytes:
        if digest_bytes(data) != digest:
            raise IntegrityError(f"the blob {digest} in {self.root} has other bytes than its name says")
        return data

    def _lacks(self, digest: Digest) -> IntegrityError:
        return IntegrityError(f"{self.root} lacks the blob {digest}")

    def _write(self, data: bytes) -> list[Path]:
        """Writes a blob; its path if it is new."""
        path = self.blob_path(digest_bytes(data))
        new = not path.exists()
        if new or not _holds(path, data):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        return [path] if new else []

    def _tag(self, tags: Mapping[str, Mapping[str, Any]]) -> None:
        """Points each of ``tags`` to its entry in ``index.json``, all at once; the lock must be held."""
        kept = [item for item in self._index() if (item.get("annotations") or {}).get(REF_NAME) not in tags]
        manifests = [*kept, *({**entry, "annotations": {REF_NAME: tag}} for tag, entry in tags.items())]
        write_whole(self.root / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}
        write_whole(self.root / "index.json", canonical_json(index))

    def _index(self) -> list[dict[str, Any]]:
        path = self.root / "index.json"
        try:
            index = json.loads(read_regular(path, LARGEST_DOCUMENT))
            if index["schemaVersion"] != 2:
                raise ValueError("not an OCI image index")
            for entry in index["manifests"]:
                pair(entry)
                if not isinstance(entry["mediaType"], str):
                    raise ValueError("an entry describes nothing")
                for value in (entry.get("annotations") or {}).values():
                    if not isinstance(value, str):
                        raise ValueError("an annotation is no text")
            manifests: list[dict[str, Any]] = index["manifests"]
            return manifests
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise IntegrityError(f"{path} is not an OCI image index: {str(error)[:200]}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # Never through a link, which would have another file emptied.
            handle = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StoreUnreachable(f"{self.root} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _described(media_type: str, data: bytes) -> dict[str, Any]:
    return descriptor(media_type, digest_bytes(data), len(data))


def _of_type(artifact_type: str, document: bytes) -> dict[str, Any]:
    """The entry of an OCI manifest in ``index.json``."""
    return {**_described(MANIFEST_TYPE, document), "artifactType": artifact_type}


def _other_bytes(known: Release, made: Release) -> IntegrityError:
    differing = sorted(
        title for title in {*made.files, *known.files} if made.files.get(title) != known.files.get(title)
    )
    return IntegrityError(
        f"{known.ref} is released already, with other bytes in: {', '.join(differing) or 'its annotations'}",
        help="a released version never changes: raise 'version' in the manifest",
        code="immutable",
    )


def _move(source: Path, target: Path) -> list[Path]:
    """Moves a blob to its place, durably; the place if it is new."""
    new = not target.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as stream:
        os.fsync(stream.fileno())
    source.chmod(0o644)
    source.replace(target)
    return [target] if new else []


def _holds(path: Path, data: bytes) -> bool:
    try:
        return holds(path, Blob(digest_bytes(data), len(data)))
    except IntegrityError:
        return False  # a link or the like, which gets replaced
