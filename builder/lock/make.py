"""Manifest -> Lock: look up what every name stands for now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from builder.errors import IntegrityError, TinsmithError, UsageError
from builder.lock.checkout import HTTPS
from builder.lock.content import dataset_digest
from builder.lock.file import load_lock, lock_path
from builder.lock.model import Lock, LockedDataset
from builder.lock.sources import Emit, folders_of, resolve_source
from builder.lock.toolchains import lock_toolchain, toolchains_of
from builder.manifest.dataset import VocDataset
from builder.manifest.model import Manifest


def make_lock(
    manifest: Manifest,
    manifest_path: Path,
    sources: Mapping[str, Path],
    base_images: Mapping[str, str],
    cache: Path,
    emit: Emit,
    *,
    transports: Sequence[str] = HTTPS,
) -> Lock:
    """The lock of ``manifest``. ``sources`` and ``base_images`` override by name of source and of toolchain.

    What the lock beside the manifest says of a git commit is kept, since a commit does not change: locking again
    needs no data at hand. IntegrityError if a copy given in ``sources`` then differs. Errors otherwise as for
    ``resolve_source``, ``dataset_digest`` and ``lock_toolchain``.
    """
    names = toolchains_of(manifest)
    unused = sorted(set(base_images) - set(names))
    if unused:
        raise UsageError(f"no toolchain is called {unused[0]!r}", help="used here: " + ", ".join(names))
    dataset = None
    if isinstance(manifest.dataset, VocDataset):
        dataset = _lock_dataset(manifest.dataset, manifest_path, sources, cache, emit, transports)
    return Lock(
        manifest_digest=manifest.digest,
        toolchains={name: lock_toolchain(name, base_images.get(name)) for name in names},
        dataset=dataset,
    )


def _lock_dataset(
    dataset: VocDataset,
    manifest_path: Path,
    sources: Mapping[str, Path],
    cache: Path,
    emit: Emit,
    transports: Sequence[str],
) -> LockedDataset:
    source, folders = dataset.source, folders_of(dataset)
    known = _known(manifest_path, dataset)
    if known is not None and source.name not in sources:
        return known.model_copy(update={"name": source.name})
    root = resolve_source(dataset, manifest_path, sources, cache, emit, transports=transports)
    found = dataset_digest(root, folders)
    if known is not None and found.digest != known.digest:
        raise IntegrityError(
            f"{root} does not hold commit {source.commit} as it was locked before: "
            f"expected {known.digest}, found {found.digest}",
            help=f"restore the copy; if the lock is wrong, remove {lock_path(manifest_path)} first",
        )
    return LockedDataset(
        name=source.name,
        digest=found.digest,
        files=found.files,
        bytes=found.bytes,
        folders=folders,
        git=source.git,
        commit=source.commit,
    )


def _known(manifest_path: Path, dataset: VocDataset) -> LockedDataset | None:
    """What the lock beside the manifest says of the same folders of the same commit."""
    try:
        before = load_lock(lock_path(manifest_path)).dataset
    except TinsmithError:
        return None
    wanted = (dataset.source.git, dataset.source.commit, folders_of(dataset))
    if before is None or dataset.source.git is None or (before.git, before.commit, before.folders) != wanted:
        return None
    return before
