"""Releases as an OCI image layout on disk: one artifact per ``name:version``, written once.

Source: OCI image specification 1.1 (image-layout.md, manifest.md, artifact guidance). Blobs come first, then
the OCI manifest, and ``index.json`` is replaced last and at once, so a reader never sees half a release.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.digest import Digest, canonical_json, digest_bytes, digest_json, hex_of, parse_digest
from builder.errors import IntegrityError, StoreUnreachable, UsageError

ARTIFACT_TYPE = "application/vnd.tinsmith.release.v1"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
REF_NAME = "org.opencontainers.image.ref.name"
IDENTITY = "dev.tinsmith.identity"
RUN_FILE = "run.json"
"""Facts of one run (latency, engine, times): in the release, outside its identity."""

_MEDIA_TYPES = {
    ".tflite": "application/vnd.tensorflow.tflite",
    ".json": "application/json",
    ".txt": "text/plain",
    ".png": "image/png",
    ".tar": "application/x-tar",
}
_EMPTY = b"{}"
_LARGEST_DOCUMENT = 4 << 20


@dataclass(frozen=True)
class Release:
    """``files`` maps titles to (digest, size in bytes); ``digest`` is the OCI manifest's and names the release."""

    name: str
    version: str
    digest: Digest
    identity: Digest
    files: Mapping[str, tuple[Digest, int]]
    annotations: Mapping[str, str]

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"


class Layout:
    """An OCI image layout in ``root``; made on the first release."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def releases(self) -> list[Release]:
        """Every release, by name and then in the order they were made."""
        found = [self._release(parse_digest(entry["digest"])) for entry in self._index()["manifests"]]
        return sorted(found, key=lambda release: release.name)

    def find(self, ref: str) -> Release:
        """``name`` (its newest version), ``name@version`` or a digest. UsageError if there is none such."""
        releases = self.releases()
        for release in reversed(releases):
            if ref in (release.name, release.ref, f"{release.name}:{release.version}", release.digest):
                return release
        known = ", ".join(release.ref for release in releases) or "none yet"
        raise UsageError(f"{self.root} has no release '{ref}'", help=f"releases there: {known}")

    def read(self, release: Release, title: str) -> bytes:
        """One file of a release, checked against its digest."""
        digest, _ = release.files[title]
        return self._read_blob(digest)

    def add(
        self, name: str, version: str, files: Mapping[str, bytes], annotations: Mapping[str, str]
    ) -> tuple[Release, bool]:
        """Writes a release of ``files`` and says whether it is new.

        The same name and version with the same identity is left as it is; with another one it is an
        IntegrityError (exit 7) naming the files that differ.
        """
        identity = identity_of(files)
        with self._locked():
            for known in self.releases():
                if (known.name, known.version) == (name, version):
                    if known.identity != identity:
                        raise _other_bytes(known, files)
                    return known, False
            return self._write(name, version, identity, files, annotations), True

    def _write(
        self,
        name: str,
        version: str,
        identity: Digest,
        files: Mapping[str, bytes],
        annotations: Mapping[str, str],
    ) -> Release:
        layers = []
        for title, data in sorted(files.items()):
            media_type = _MEDIA_TYPES.get(Path(title).suffix, "application/octet-stream")
            layers.append({**self._blob(data, media_type), "annotations": {TITLE: title}})
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": self._blob(_EMPTY, EMPTY_TYPE),
            "layers": layers,
            "annotations": {
                **annotations,
                IDENTITY: identity,
                TITLE: name,
                "org.opencontainers.image.version": version,
            },
        }
        descriptor = self._blob(canonical_json(document), MANIFEST_TYPE)
        entry = {**descriptor, "artifactType": ARTIFACT_TYPE, "annotations": {REF_NAME: f"{name}:{version}"}}
        index = self._index()
        index["manifests"].append(entry)
        _replace(self.root / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
        _replace(self.root / "index.json", canonical_json(index))
        return self._release(parse_digest(descriptor["digest"]))

    def _blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        digest = digest_bytes(data)
        path = self._blob_path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def _blob_path(self, digest: Digest) -> Path:
        return self.root / "blobs" / "sha256" / hex_of(digest)

    def _read_blob(self, digest: Digest) -> bytes:
        try:
            data = self._blob_path(digest).read_bytes()
        except FileNotFoundError:
            raise IntegrityError(f"{self.root} lacks the blob {digest}") from None
        if digest_bytes(data) != digest:
            raise IntegrityError(f"the blob {digest} in {self.root} has other bytes than its name says")
        return data

    def _index(self) -> dict[str, Any]:
        path = self.root / "index.json"
        try:
            index = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [],
            }
        except ValueError as error:
            raise IntegrityError(f"{path} is not an OCI image index: {error}") from error
        if not isinstance(index, dict) or not isinstance(index.get("manifests"), list):
            raise IntegrityError(f"{path} is not an OCI image index")
        return index

    def _release(self, digest: Digest) -> Release:
        data = self._read_blob(digest)
        if len(data) > _LARGEST_DOCUMENT:
            raise IntegrityError(f"the OCI manifest {digest} is larger than {_LARGEST_DOCUMENT} bytes")
        try:
            document = json.loads(data)
            annotations = document["annotations"]
            files = {
                _safe_title(layer["annotations"][TITLE]): (parse_digest(layer["digest"]), int(layer["size"]))
                for layer in document["layers"]
            }
            return Release(
                name=annotations[TITLE],
                version=annotations["org.opencontainers.image.version"],
                digest=digest,
                identity=parse_digest(annotations[IDENTITY]),
                files=files,
                annotations=annotations,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{digest} in {self.root} is not a tinsmith release: {error!r}") from error

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


def identity_of(files: Mapping[str, bytes]) -> Digest:
    """The digest over what was built: every file but the facts of one run."""
    return digest_json({title: digest_bytes(data) for title, data in files.items() if title != RUN_FILE})


def _safe_title(title: str) -> str:
    path = Path(title)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\x00" in title:
        raise ValueError(f"unsafe file name {title!r}")
    return title


def _other_bytes(known: Release, files: Mapping[str, bytes]) -> IntegrityError:
    differing = sorted(
        title
        for title in {*files, *known.files} - {RUN_FILE}
        if title not in files or title not in known.files or digest_bytes(files[title]) != known.files[title][0]
    )
    return IntegrityError(
        f"{known.ref} is released already, with other bytes in: {', '.join(differing)}",
        help="a released version never changes: raise 'version' in the manifest",
        code="immutable",
    )


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    Path(name).chmod(0o644)
    Path(name).rename(path)
