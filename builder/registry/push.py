"""A release from a layout to a registry: blobs, then the OCI manifest, then its tag; then what is attached.

A tag that exists with another digest is never written (a registry would allow it). The index of attachments, under the
tag of the referrers, is the one tag that changes: it is merged with what is there, and read again after it was written.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from builder.digest import Digest, digest_bytes, hex_of
from builder.errors import IntegrityError, StoreUnreachable, UsageError
from builder.registry.client import Registry
from builder.registry.offer import Offer
from builder.registry.receive import Emit
from builder.registry.reference import Folder, Remote
from builder.registry.transfer import send_blobs
from builder.release.document import INDEX_TYPE, MANIFEST_TYPE, attachment_entry, referrers_document, referrers_tag
from builder.release.layout import Layout
from builder.release.release import LARGEST_DOCUMENT, Blob, parse_referrers

_ROUNDS = 8
_PATIENCE = 4.0
_LEAST_PAUSE = 0.1


def target_of(reference: Remote, offer: Offer) -> Remote:
    """Where in a registry the release goes. UsageError if ``reference`` contradicts it."""
    release = offer.release
    if reference.repository.rpartition("/")[2] != release.name:
        raise UsageError(
            f"{release.ref} does not belong into {reference.place}",
            help=f"a repository is called like its releases: push to {reference.host}/…/{release.name}",
        )
    if reference.which.versions is not None:
        raise UsageError(
            "a release is pushed to one version, not to a range", help=f"{reference.place}:{release.version}"
        )
    if reference.tag not in (None, release.version):
        raise UsageError(
            f"{release.ref} cannot be pushed as :{reference.tag}: a tag is the version of its release",
            help=f"{reference.place}:{release.version}",
        )
    if reference.which.digest not in (None, release.digest):
        raise UsageError(f"{release.ref} has another digest: {release.digest}")
    return Remote(reference.host, reference.repository, release.version)


def check_folder(folder: Folder, offer: Offer) -> None:
    """UsageError if the reference of a layout contradicts the release that goes there."""
    release, which = offer.release, folder.which
    right = f"{folder.path}:{release.name}@{release.version}"
    if folder.name not in (None, release.name):
        raise UsageError(f"{release.ref} cannot be pushed as {str(folder.name)[:100]}", help=right)
    if which.versions is not None and which.versions.text.removeprefix("=") != release.version:
        raise UsageError(f"{release.ref} cannot be pushed as version {which.versions.text}", help=right)
    if which.digest not in (None, release.digest):
        raise UsageError(f"{release.ref} has another digest: {release.digest}")


def push(layout: Layout, offer: Offer, target: Remote, registry: Registry, emit: Emit) -> None:
    """Writes the release and its attachments.

    IntegrityError (exit 7) if the version is there with another digest, or if a file of the layout is damaged;
    StoreUnreachable (exit 8) if the registry cannot be reached or refuses.
    """
    release, repository = offer.release, target.repository
    check_tag(registry, target, release.digest)
    sent = send_blobs(registry, repository, {layout.blob_path(blob.digest): blob for blob in offer.blobs}, emit)
    registry.put_manifest(repository, release.digest, offer.manifest, MANIFEST_TYPE)
    if not check_tag(registry, target, release.digest):  # once more: sending may have taken long
        registry.put_manifest(repository, release.version, offer.manifest, MANIFEST_TYPE)
    if offer.attached:
        _attach(registry, repository, offer, emit)
    # Last, as a reader would: the registry may have told more than it did, or another may have written meanwhile.
    if not check_tag(registry, target, release.digest):
        raise StoreUnreachable(f"{target} was written and is not there", help="push again")
    emit("message", {"text": f"sent {sent / 1e6:,.1f} MB of {sum(blob.size for blob in offer.blobs) / 1e6:,.1f} MB"})


def check_tag(registry: Registry, target: Remote, digest: Digest) -> bool:
    """Whether the version is there already. IntegrityError if it is there with another digest."""
    data = registry.tagged(target.repository, str(target.tag))
    if data is None:
        return False
    if (found := digest_bytes(data)) != digest:
        raise IntegrityError(
            f"{target} is there already with another digest: {found}",
            help="a released version never changes: raise 'version' in the manifest",
            code="immutable",
        )
    return True


def _attach(registry: Registry, repository: str, offer: Offer, emit: Emit) -> None:
    send_small(registry, repository, [data for item in offer.attached for data in (item.config, item.data)], emit)
    entries = {}
    for item in offer.attached:
        registry.put_manifest(repository, item.attachment.manifest, item.manifest, MANIFEST_TYPE)
        entry = attachment_entry(item.manifest, item.attachment.artifact_type, item.attachment.title)
        entries[item.attachment.manifest] = entry
    _list(registry, repository, referrers_tag(offer.release.digest), entries)


def send_small(registry: Registry, repository: str, contents: Iterable[bytes], emit: Emit) -> None:
    """Writes blobs that are at hand as bytes. Errors as for ``send_blobs``."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as scratch:
        files: dict[Path, Blob] = {}
        for data in contents:
            blob = Blob(digest_bytes(data), len(data))
            path = Path(scratch) / hex_of(blob.digest)
            path.write_bytes(data)
            files[path] = blob
        send_blobs(registry, repository, files, emit)


def _list(registry: Registry, repository: str, tag: str, entries: dict[Digest, dict[str, Any]]) -> None:
    """Adds ``entries`` to the index at ``tag``.

    A registry has no way to write only what nobody else wrote meanwhile. So the index is read again, at once and after
    several times as long as reading and writing took: of two who write at once, the later undoes the earlier within
    that time, and both notice.
    """
    written = 0.0
    for _ in range(_ROUNDS):
        begun = time.monotonic()
        known = _listed(registry, repository, tag)
        if known.keys() >= entries.keys():
            if not written:
                return
            registry.wire.pause(max(_LEAST_PAUSE, _PATIENCE * written))
            known = _listed(registry, repository, tag)
            if known.keys() >= entries.keys():
                return
        index = referrers_document([*known.values(), *(entry for key, entry in entries.items() if key not in known)])
        if len(index) > LARGEST_DOCUMENT:
            raise StoreUnreachable(f"{repository}:{tag} would be larger than registries allow")
        registry.put_manifest(repository, tag, index, INDEX_TYPE)
        written = max(written, time.monotonic() - begun) * random.uniform(1.0, 1.5)
    raise StoreUnreachable(f"{repository}:{tag} does not keep what is written to it", help="push again")


def _listed(registry: Registry, repository: str, tag: str) -> dict[Digest, dict[str, Any]]:
    data = registry.tagged(repository, tag)
    if data is None:
        return {}
    parse_referrers(data)  # refuses what is no index
    return {entry["digest"]: entry for entry in json.loads(data)["manifests"]}
