"""An OCI artifact by digest from a registry: its layers as files, or unpacked if they are tars.

Source: OCI distribution specification 1.1 (pulling manifests and blobs), OCI image specification 1.1 (manifest).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from builder.digest import hex_of, parse_digest
from builder.errors import DatasetError, StoreUnreachable
from builder.fetch.archive import extract
from builder.registry.client import Registry
from builder.registry.receive import forget
from builder.registry.transfer import fetch_blobs
from builder.release.document import TITLE
from builder.release.release import Blob

Emit = Callable[[str, Mapping[str, Any]], None]


def pull_artifact(repository: str, digest: str, folder: Path, downloads: Path, emit: Emit) -> None:
    """Writes the files of the artifact ``digest`` of ``repository`` (host/path) into ``folder``.

    IntegrityError if the registry gives other bytes, DatasetError if it is no artifact of files, StoreUnreachable
    if it cannot be had.
    """
    host, _, name = repository.partition("/")
    reference = f"{repository}@{digest}"
    with Registry(host) as registry:
        data = registry.manifest(name, digest)
        if data is None:
            raise StoreUnreachable(f"{host} has no {name}@{digest}", help="give a local copy: --source NAME=PATH")
        layers = _manifest(data, reference).get("layers")
        if not isinstance(layers, list) or not layers:
            raise DatasetError(f"{reference} has no layers", code="dataset-oci")
        described = [_described(layer, repository) for layer in layers]
        blobs = {downloads / hex_of(blob.digest): blob for blob, _, _ in described}
        fetch_blobs(registry, name, blobs, downloads, emit)
    for blob, media_type, title in described:
        path = downloads / hex_of(blob.digest)
        _place(path, title, "tar" in media_type, folder, path.with_name(f"{path.name}.unpacked"), emit)
    for path, blob in blobs.items():
        path.unlink()
        forget(downloads, [hex_of(blob.digest)])


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


def _manifest(data: bytes, reference: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{reference} is not an OCI manifest: {error}", code="dataset-oci") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{reference} is not an OCI manifest", code="dataset-oci")
    return document


def _described(layer: Any, repository: str) -> tuple[Blob, str, str | None]:
    """(blob, media type, title or None) of a layer's descriptor."""
    try:
        blob, media_type = Blob(parse_digest(layer["digest"]), int(layer["size"])), str(layer["mediaType"])
        title = (layer.get("annotations") or {}).get(TITLE)
        if blob.size < 0 or not (title is None or isinstance(title, str)):
            raise ValueError(layer["digest"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{repository} describes a layer wrongly: {error!r}", code="dataset-oci") from error
    return blob, media_type, title
