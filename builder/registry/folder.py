"""The registry's counterpart on disk: an OCI image layout, read and added to at the level of OCI.

Source: OCI image specification 1.1, image-layout.md. Written as ``builder.release.layout`` does: blobs first,
``index.json`` replaced last and at once, under the same lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder.digest import Digest, canonical_json, digest_bytes, hex_of
from builder.errors import IntegrityError, StoreUnreachable, UsageError
from builder.registry.documents import (
    INDEX_TYPE,
    LARGEST_DOCUMENT,
    MANIFEST_TYPE,
    REF_NAME,
    Descriptor,
    parse_json,
    read_descriptor,
    read_index,
)
from builder.registry.offer import MOST_ATTACHED, Attached, Offer, read_attached, read_offer, referrers_tag
from builder.registry.reference import Named
from builder.registry.versions import ANY, Version, parse_version

_BLOCK = 1 << 20


class OciFolder:
    """The layout in ``root``, which is made when the first release is added."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def blob_path(self, digest: Digest) -> Path:
        return self.root / "blobs" / "sha256" / hex_of(digest)

    def versions(self, name: str) -> dict[Version, Digest]:
        """The versions of ``name``; those that are no semantic versions are passed over."""
        found = {}
        for entry in self._entries():
            known, colon, text = entry.annotations.get(REF_NAME, "").partition(":")
            version = parse_version(text) if colon and known == name else None
            if version is not None:
                found[version] = entry.digest
        return found

    def names(self) -> list[str]:
        refs = (entry.annotations.get(REF_NAME, "").partition(":") for entry in self._entries())
        return sorted({name for name, colon, _ in refs if colon})

    def find(self, name: str | None, which: Named) -> Offer:
        """The release that is meant, with its attachments. UsageError if there is none such."""
        if which.digest is not None:
            digest = next((entry.digest for entry in self._entries() if entry.digest == which.digest), None)
            if digest is None:
                raise UsageError(f"{self.root} has no release {which.digest}")
            return self.offer(digest)
        names = self.names()
        if name is None:
            if len(names) != 1:
                raise UsageError(
                    f"{self.root} has releases of {len(names)} names, and none is said",
                    help="say which: " + (", ".join(f"{self.root}:{each}" for each in names[:10]) or "it is empty"),
                )
            (name,) = names
        versions = self.versions(name)
        best = (which.versions or ANY).best(versions) if which.versions else _newest(versions)
        if best is None:
            asked = f"{name}@{which.versions.text}" if which.versions else name
            known = ", ".join(f"{name}@{version}" for version in sorted(versions)[-10:]) or ", ".join(names[:20])
            raise UsageError(f"{self.root} has no release '{asked}'", help=f"releases there: {known or 'none yet'}")
        return self.offer(versions[best])

    def offer(self, digest: Digest) -> Offer:
        """The release with this digest. IntegrityError if it, or what is attached, is damaged."""
        found = read_offer(str(self.root), self._document(digest))
        return replace(found, attachments=tuple(self._attachments(digest)))

    def _attachments(self, subject: Digest) -> Iterator[Attached]:
        tag = referrers_tag(subject)
        index = next((entry for entry in self._entries() if entry.annotations.get(REF_NAME) == tag), None)
        if index is None:
            return
        try:
            entries = read_index(self._document(index.digest))
        except ValueError as error:
            raise IntegrityError(f"{tag} in {self.root} is no index: {error}") from error
        if len(entries) > MOST_ATTACHED:
            raise IntegrityError(f"{tag} in {self.root} lists more than {MOST_ATTACHED} attachments")
        for entry in entries:
            if entry.media_type == MANIFEST_TYPE:
                found = read_attached(str(self.root), subject, self._document(entry.digest))
                blobs = {blob.digest: self._read(blob.digest, blob.size) for blob in found.document.blobs}
                yield Attached(found.manifest, blobs)

    def add(self, offer: Offer, staged: Mapping[Digest, Path]) -> bool:
        """Adds a release whose blobs lie in ``staged`` or are here already; whether it is new.

        All or nothing. IntegrityError (exit 7) if the same version is here with another digest.
        """
        with self._locked():
            index = self._index()
            entries = [read_entry(entry, self.root) for entry in index["manifests"]]
            known = {entry.annotations.get(REF_NAME): entry.digest for entry in entries}
            there = known.get(offer.ref_name)
            if there not in (None, offer.digest):
                raise IntegrityError(
                    f"{offer.ref} is in {self.root} already with another digest: {there}",
                    help="a released version never changes; what differs needs a version of its own",
                    code="immutable",
                )
            written: list[Path] = []
            try:
                for digest, path in staged.items():
                    self._take(path, digest, written)
                self._write(offer.manifest, written)
                if there is None:
                    kind = offer.document.artifact_type
                    entry = Descriptor(
                        MANIFEST_TYPE, offer.digest, len(offer.manifest), {REF_NAME: offer.ref_name}, kind or None
                    )
                    index["manifests"].append(entry.document())
                self._attach(offer, index, entries, written)
                if not (self.root / "oci-layout").exists():
                    self._replace(self.root / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
                self._replace(self.root / "index.json", canonical_json(index))
            except BaseException:
                for path in written:
                    with suppress(OSError):
                        path.unlink()
                raise
            return there is None

    def _attach(self, offer: Offer, index: dict[str, Any], entries: list[Descriptor], written: list[Path]) -> None:
        if not offer.attachments:
            return
        tag = offer.referrers_tag
        there = next((entry for entry in entries if entry.annotations.get(REF_NAME) == tag), None)
        listed = merged(None if there is None else self._document(there.digest), offer.attachments, str(self.root))
        for attached in offer.attachments:
            for data in (*attached.blobs.values(), attached.manifest):
                self._write(data, written)
        digest = self._write(listed, written)
        entry = Descriptor(INDEX_TYPE, digest, len(listed), {REF_NAME: tag}).document()
        others = [item for item in index["manifests"] if (item.get("annotations") or {}).get(REF_NAME) != tag]
        index["manifests"] = [*others, entry]

    def _take(self, path: Path, digest: Digest, written: list[Path]) -> None:
        place = self.blob_path(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        new = not place.exists()
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        path.replace(place)
        if new:
            written.append(place)

    def _write(self, data: bytes, written: list[Path]) -> Digest:
        digest = digest_bytes(data)
        place = self.blob_path(digest)
        if not place.exists() or digest_bytes(place.read_bytes()) != digest:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._replace(place, data)
            written.append(place)
        return digest

    def _document(self, digest: Digest) -> bytes:
        data = self._read(digest, LARGEST_DOCUMENT, whole=False)
        return data

    def _read(self, digest: Digest, most: int, *, whole: bool = True) -> bytes:
        try:
            with self.blob_path(digest).open("rb") as stream:
                data = stream.read(most + 1)
        except FileNotFoundError:
            raise IntegrityError(f"{self.root} lacks the blob {digest}") from None
        if len(data) > most or (whole and len(data) != most) or digest_bytes(data) != digest:
            raise IntegrityError(f"the blob {digest} in {self.root} has other bytes than its name says")
        return data

    def _entries(self) -> list[Descriptor]:
        return [read_entry(entry, self.root) for entry in self._index()["manifests"]]

    def _index(self) -> dict[str, Any]:
        path = self.root / "index.json"
        try:
            with path.open("rb") as stream:
                index = parse_json(stream.read(LARGEST_DOCUMENT + 1))
        except FileNotFoundError:
            return {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}
        except ValueError as error:
            raise IntegrityError(f"{path} is not an OCI image index: {error}") from error
        if not isinstance(index.get("manifests"), list):
            raise IntegrityError(f"{path} is not an OCI image index")
        return index

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / ".lock").open("w")
        except OSError as error:
            raise StoreUnreachable(f"{self.root} cannot be written: {error.strerror}") from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @staticmethod
    def _replace(path: Path, data: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
            Path(name).rename(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def copy_blob(source: Path, target: Path, blob: Descriptor) -> None:
    """Copies a blob, hashed on the way. IntegrityError if it has other bytes than its descriptor says."""
    import hashlib

    digest, size = hashlib.sha256(), 0
    try:
        with source.open("rb") as read, target.open("xb") as write:
            while block := read.read(_BLOCK):
                digest.update(block)
                size += len(block)
                write.write(block)
    except FileNotFoundError:
        raise IntegrityError(f"the blob {blob.digest} is not at {source}") from None
    if digest.hexdigest() != hex_of(blob.digest) or size != blob.size:
        raise IntegrityError(f"{source} has other bytes than its name says")


def merged(known: bytes | None, attachments: tuple[Attached, ...], where: str) -> bytes:
    """The index of referrers ``known``, with the entries of ``attachments`` that it lacks. IntegrityError if it is none."""
    try:
        value = parse_json(known) if known is not None else {}
        there = {entry.digest for entry in read_index(known)} if known is not None else set()
    except ValueError as error:
        raise IntegrityError(f"{where}: the index of attachments cannot be read: {error}") from error
    new = [attached.entry.document() for attached in attachments if attached.digest not in there]
    if known is not None and not new:
        return known
    return canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*value.get("manifests", []), *new]})


def read_entry(entry: Any, root: Path) -> Descriptor:
    try:
        return read_descriptor(entry)
    except ValueError as error:
        raise IntegrityError(f"{root}/index.json has an entry that cannot be read: {error}") from error


def _newest(versions: Mapping[Version, Digest]) -> Version | None:
    """The newest release, or the newest pre-release where there is nothing else."""
    return ANY.best(versions) or max(versions, default=None)
