"""Family of manifests -> Lock: look up what every name stands for now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from builder.errors import IntegrityError, TinsmithError, UsageError
from builder.fetch.checkout import HTTPS
from builder.lock.file import load_lock
from builder.lock.model import Lock, LockedSource
from builder.lock.paths import paths_of
from builder.lock.place import lock_path
from builder.lock.sources import Emit, locate, lock_source, origin_of
from builder.lock.toolchains import lock_toolchain, toolchains_of
from builder.manifest.dataset import SyntheticDataset
from builder.manifest.datasource import Source
from builder.manifest.family import Family

EVERYTHING = (".",)


def make_lock(
    family: Family,
    manifest_path: Path,
    sources: Mapping[str, Path],
    base_images: Mapping[str, str],
    cache: Path,
    lock_release: Callable[[str], LockedSource],
    emit: Emit,
    *,
    transports: Sequence[str] = HTTPS,
) -> Lock:
    """The lock of ``family``. ``sources`` and ``base_images`` override by name of source and of toolchain.

    What the lock beside the manifest says of a git commit, an archive or an OCI artifact is kept, since these do not
    change: locking again needs no data at hand. IntegrityError if a copy given in ``sources`` then differs.
    ``lock_release`` finds the weights of a release by its name@version. Errors otherwise as for it, ``locate``,
    ``dataset_digest`` and ``lock_toolchain``.
    """
    chosen = toolchains_of(family)
    unused = sorted(set(base_images) - set(chosen))
    if unused:
        raise UsageError(f"no toolchain is called {unused[0]!r}", help="used here: " + ", ".join(chosen))
    manifest = family.manifests[0]
    before = _before(manifest_path)

    def locked(source: Source, paths: Sequence[str], known: LockedSource | None) -> LockedSource:
        if known is not None and not _same(known, source, paths):
            known = None
        if known is not None and source.name not in sources:
            return known.model_copy(update={"name": source.name})
        root = locate(source, manifest_path, sources, cache, emit, transports=transports)
        found = lock_source(source, root, paths)
        if known is not None and found.digest != known.digest:
            raise IntegrityError(
                f"{root} does not hold {known.origin} as it was locked before: "
                f"expected {known.digest}, found {found.digest}",
                help=f"restore the copy; if the lock is wrong, remove {lock_path(manifest_path)} first",
            )
        return found

    dataset = init = None
    if not isinstance(manifest.dataset, SyntheticDataset):
        dataset = locked(manifest.dataset.source, paths_of(manifest.dataset), before.dataset if before else None)
    start = manifest.train.init
    if start is not None and start.checkpoint is not None:
        init = locked(start.checkpoint, EVERYTHING, before.init if before else None)
    elif start is not None and start.release is not None:
        init = lock_release(start.release)
    return Lock(
        manifest_digest=family.digest,
        toolchains={name: lock_toolchain(name, base_images.get(name), image=image) for name, image in chosen.items()},
        dataset=dataset,
        init=init,
    )


def _before(manifest_path: Path) -> Lock | None:
    """The lock beside the manifest, if there is one that can be read."""
    try:
        return load_lock(lock_path(manifest_path))
    except TinsmithError:
        return None


def _same(known: LockedSource, source: Source, paths: Sequence[str]) -> bool:
    """Is ``known`` of the same files of the same origin, which never change?"""
    wanted = (origin_of(source), tuple(paths), source.include, source.exclude)
    return known.origin is not None and (known.origin, known.paths, known.include, known.exclude) == wanted
