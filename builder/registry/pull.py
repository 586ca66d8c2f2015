"""A release from a registry: found, with what is attached; admitted; then its files fetched, all or nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.digest import Digest, hex_of
from builder.errors import IntegrityError, StoreUnreachable, UsageError
from builder.registry.client import Registry
from builder.registry.offer import MOST_ATTACHED, Attached, Budget, Offer, by_version, read_attached
from builder.registry.place import place
from builder.registry.receive import Emit, forget
from builder.registry.reference import Remote
from builder.registry.transfer import copy_blob, fetch_blobs
from builder.release.document import referrers_tag
from builder.release.files import holds, open_regular
from builder.release.layout import Layout
from builder.release.release import Blob, Release, parse_referrers, parse_release
from builder.versions import ANY, parse_version

Fetch = Callable[[Mapping[Path, Blob]], None]
"""Writes blobs to paths, each checked, or raises."""

_SCRATCH, _HELD = ".tinsmith-pull-", "held.lock"
_FRESH = 60.0
"""Seconds."""


def find(registry: Registry, reference: Remote, usable: Collection[str] | None = None) -> Offer:
    """The release that ``reference`` means, with its attachments.

    ``usable``: the versions that a range is chosen from; None for those that the registry lists.
    StoreUnreachable (exit 8) if there is none such or it cannot be had; IntegrityError (exit 7) if what comes is not
    what its digest or its version says.
    """
    repository = reference.repository
    tag = reference.which.digest or reference.tag or _tag(registry, reference, usable)
    data = registry.manifest(repository, tag)
    if data is None:
        raise StoreUnreachable(f"{reference.place} has no {tag}", help=_known(registry, repository), code="not-found")
    release = parse_release(data)
    version = reference.tag or (tag if tag != reference.which.digest else release.version)
    if parse_version(version) is not None and version != release.version:
        raise IntegrityError(
            f"{reference.place} gives {release.ref} for the version {version}",
            help="somebody moved the tag: tell the publisher; a release can still be had by its digest",
            code="wrong-name",
        )
    return Offer(reference.place, release, data, tuple(_attached(registry, repository, release)))


def _tag(registry: Registry, reference: Remote, usable: Collection[str] | None) -> str:
    """The newest version in the range."""
    versions = reference.which.versions or ANY
    if versions.exact is not None:
        return str(versions.exact)
    listed = registry.tags(reference.repository) if usable is None else usable
    known = by_version([(tag, tag) for tag in listed])
    best = versions.best(known)
    if best is None:
        raise StoreUnreachable(
            f"{reference.place} has no version that is {versions.text}",
            help=_known(registry, reference.repository),
            code="not-found",
        )
    return known[best]


def _known(registry: Registry, repository: str) -> str:
    tags = registry.tags(repository)
    newest = sorted(by_version([(tag, tag) for tag in tags]))[-10:]
    return f"versions there: {', '.join(map(str, newest)) or 'none'}"


def _attached(registry: Registry, repository: str, release: Release) -> Iterator[Attached]:
    """What refers to the release: by the API, and by the tag that stands in for it, as far as the registry has them."""
    tag = referrers_tag(release.digest)
    by_api = registry.referrers(repository, release.digest)
    index = registry.tagged(repository, tag) if by_api is None else registry.manifest(repository, tag)
    found = {blob.digest: blob for blob in [*(by_api or []), *(parse_referrers(index) if index is not None else [])]}
    if len(found) > MOST_ATTACHED:
        raise IntegrityError(f"{repository}: more than {MOST_ATTACHED} attachments to {release.ref}")

    budget = Budget(repository)
    read = budget.within(lambda blob: registry.small_blob(repository, blob))

    for digest in sorted(found):
        manifest = registry.manifest(repository, digest)
        if manifest is None:
            raise StoreUnreachable(f"{repository} lists an attachment that it has not: {digest}", help="try again")
        budget.take(len(manifest))
        attached = read_attached(manifest, release.digest, read, repository)
        if attached is not None:
            yield attached


@contextmanager
def fetching(registry: Registry, repository: str, parts: Path, emit: Emit) -> Iterator[Fetch]:
    """Fetches from a registry. What has come is kept in ``parts`` until all went well."""
    arrived: list[str] = []

    def fetch(wanted: Mapping[Path, Blob]) -> None:
        fetch_blobs(registry, repository, wanted, parts, emit)
        arrived.extend(hex_of(blob.digest) for blob in wanted.values())

    yield fetch
    forget(parts, arrived)


@contextmanager
def copying(layout: Layout) -> Iterator[Fetch]:
    """Copies from a layout."""

    def fetch(wanted: Mapping[Path, Blob]) -> None:
        for path, blob in wanted.items():
            copy_blob(layout.blob_path(blob.digest), path, blob)

    yield fetch


def into_layout(offer: Offer, layout: Layout, fetch: Fetch) -> bool:
    """Adds the release to ``layout``, which then has all of it or, after an error, nothing; whether it is new."""
    with cleared(layout.root), scratch_in(layout.root) as scratch:
        missing = [blob for blob in offer.blobs if not _is_there(layout.blob_path(blob.digest), blob)]
        staged = {scratch / hex_of(blob.digest): blob for blob in missing}
        fetch(staged)
        attached = [(item.manifest, item.config, item.data) for item in offer.attached]
        _, new = layout.accept(offer.manifest, {blob.digest: path for path, blob in staged.items()}, attached)
        return new


def into_folder(offer: Offer, folder: Path, fetch: Fetch, only: Collection[str] | None = None) -> list[Path]:
    """Writes the files of the release, or ``only`` some, into ``folder``, all or none; their paths, in order."""
    files = {title: Blob(*file) for title, file in offer.release.files.items() if only is None or title in only}
    if only is not None and (missing := sorted(set(only) - set(files))):
        raise IntegrityError(f"{offer.where}: {offer.release.ref} has no {', '.join(missing)}")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    above = folder.absolute().parent
    with cleared(above), scratch_in(above) as scratch:
        stage = scratch / "files"
        first: dict[Digest, str] = {}
        for title, blob in files.items():
            first.setdefault(blob.digest, title)
        fetch({stage / title: files[title] for title in first.values()})
        for title, blob in files.items():
            path = stage / title
            if not path.exists():
                copy_blob(stage / first[blob.digest], path, blob)
        place(stage, folder)
    return [folder / title for title in sorted(files)]


def _is_there(path: Path, blob: Blob) -> bool:
    try:
        return holds(path, blob)
    except (FileNotFoundError, IntegrityError):
        return False


@contextmanager
def cleared(folder: Path) -> Iterator[None]:
    """After an error, ``folder`` and those above it are gone if they were not there before."""
    made = [each for each in (folder.absolute(), *folder.absolute().parents) if not each.exists()]
    try:
        yield
    except BaseException:
        if made:
            shutil.rmtree(made[0], ignore_errors=True)
        for each in made[1:]:
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def scratch_in(folder: Path) -> Iterator[Path]:
    """A folder beside the final place, so that what is in it can be renamed to there.

    It is locked while it is used; what pulls that were killed left there is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    with (
        tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as scratch,
        (Path(scratch) / _HELD).open("x") as handle,
    ):
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield Path(scratch)


def _sweep(folder: Path) -> None:
    for scratch in folder.glob(f"{_SCRATCH}*"):
        # A file in the way, a folder without the lock file (not ours), or one in use: left alone.
        with suppress(OSError, IntegrityError), open_regular(scratch / _HELD) as handle:
            # Not what another pull made this moment and is about to lock.
            if time.time() - os.fstat(handle.fileno()).st_mtime < _FRESH:
                continue
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not scratch.is_symlink():
                shutil.rmtree(scratch, ignore_errors=True)
