"""An OCI artifact by digest from a registry: its layers as files, or unpacked if they are tars.

Source: OCI distribution specification 1.1 (pulling manifests and blobs), OCI image specification 1.1 (manifest).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import requests

from builder.errors import DatasetError, IntegrityError, StoreUnreachable
from builder.fetch.archive import extract
from builder.fetch.download import download
from builder.fetch.http import LOOPBACK, get, persist

Emit = Callable[[str, Mapping[str, Any]], None]

LARGEST_MANIFEST = 4 << 20
LARGEST_ANSWER = 1 << 20
TITLE = "org.opencontainers.image.title"
_MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


def pull_artifact(repository: str, digest: str, folder: Path, downloads: Path, emit: Emit) -> None:
    """Writes the files of the artifact ``digest`` of ``repository`` (host/path) into ``folder``.

    IntegrityError if the registry gives other bytes, DatasetError if it is no artifact of files, StoreUnreachable
    if it cannot be had.
    """
    host, _, name = repository.partition("/")
    scheme = "http" if host.rpartition(":")[0] in LOOPBACK or host in LOOPBACK else "https"
    base = f"{scheme}://{host}/v2/{name}"
    with requests.Session() as session:
        headers = _authorisation(session, f"{base}/manifests/{digest}")
        document = _manifest(session, f"{base}/manifests/{digest}", digest, headers)
    layers = document.get("layers")
    if not isinstance(layers, list) or not layers:
        raise DatasetError(f"{repository}@{digest} has no layers", code="dataset-oci")
    for layer in layers:
        blob, media_type, title = _described(layer, repository)
        path = download(f"{base}/blobs/sha256:{blob}", blob, downloads, emit, headers)
        _place(path, title, "tar" in media_type, folder, downloads / f"{blob}.unpacked", emit)
        path.unlink()


def _place(blob: Path, title: str | None, is_tar: bool, folder: Path, scratch: Path, emit: Emit) -> None:
    if title is not None and not is_tar:
        place = PurePosixPath(title)
        if place.is_absolute() or ".." in place.parts or "\\" in title or not place.parts or title.endswith("/"):
            raise DatasetError(f"a layer is called {title[:100]!a}", code="dataset-oci")
        target = folder / place
        if target.exists():
            raise DatasetError(f"two layers are called {title[:100]!a}", code="dataset-oci")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(blob, target)
        return
    if not is_tar:
        raise DatasetError("a layer is neither a tar nor a file with a title", code="dataset-oci")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        extract(blob, scratch, emit)
        shutil.copytree(scratch, folder, dirs_exist_ok=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _manifest(session: requests.Session, url: str, digest: str, headers: Mapping[str, str]) -> dict[str, Any]:
    data = _small(session, url, {**headers, "Accept": _MANIFESTS}, LARGEST_MANIFEST)
    found = hashlib.sha256(data).hexdigest()
    if f"sha256:{found}" != digest:
        raise IntegrityError(f"{url} has other bytes than its digest says: sha256:{found}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{url} is not an OCI manifest: {error}", code="dataset-oci") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{url} is not an OCI manifest", code="dataset-oci")
    return document


def _described(layer: Any, repository: str) -> tuple[str, str, str | None]:
    """(hex digest, media type, title or None) of a layer's descriptor."""
    try:
        digest, media_type = str(layer["digest"]), str(layer["mediaType"])
        title = (layer.get("annotations") or {}).get(TITLE)
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not (title is None or isinstance(title, str)):
            raise ValueError(digest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{repository} describes a layer wrongly: {error!r}", code="dataset-oci") from error
    return digest.removeprefix("sha256:"), media_type, title


def _authorisation(session: requests.Session, url: str) -> dict[str, str]:
    """The headers that the registry wants: none, or the anonymous token it names (Bearer)."""

    def ask() -> str | None:
        with get(session, url, {"Accept": _MANIFESTS}) as answer:
            return answer.headers.get("www-authenticate", "") if answer.status_code == 401 else None

    challenge = persist(url, ask)
    if challenge is None:
        return {}
    fields = dict(_CHALLENGE.findall(challenge))
    if not challenge.lower().startswith("bearer ") or "realm" not in fields:
        raise StoreUnreachable(f"cannot fetch {url}: it asks for a login", help="give a local copy: --source NAME=PATH")
    query = "&".join(f"{key}={fields[key]}" for key in ("service", "scope") if key in fields)
    data = _small(session, f"{fields['realm']}?{query}", {}, LARGEST_ANSWER)
    try:
        found = json.loads(data)
        return {"Authorization": f"Bearer {found.get('token') or found['access_token']}"}
    except (ValueError, KeyError, AttributeError) as error:
        raise StoreUnreachable(f"cannot fetch {url}: the registry gives no token") from error


def _small(session: requests.Session, url: str, headers: Mapping[str, str], most: int) -> bytes:
    def read() -> bytes:
        with get(session, url, headers) as answer:
            if answer.status_code == 401:
                raise StoreUnreachable(f"cannot fetch {url}: it asks for a login")
            data: bytes = answer.raw.read(most + 1, decode_content=True)
        if len(data) > most:
            raise StoreUnreachable(f"cannot fetch {url}: more than {most:,} bytes")
        return data

    return persist(url, read)
