"""Does a lock fit its manifest? Reads no network and no data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from builder.errors import Diagnostic, InvalidManifest
from builder.lock.file import load_lock
from builder.lock.model import Lock, LockedToolchain
from builder.lock.place import lock_path
from builder.lock.toolchains import lock_toolchain, toolchains_of
from builder.manifest.dataset import SyntheticDataset
from builder.manifest.family import Family
from builder.manifest.load import position
from builder.manifest.source import read_text

NOT_LOCKED, STALE = "not-locked", "stale-lock"

Shipped = Callable[..., LockedToolchain]
"""``lock_toolchain``, or one that remembers what it said of each."""


def locked(family: Family, manifest_path: Path) -> Lock:
    """The lock beside ``manifest_path``, found to fit ``family``; InvalidManifest if it is missing or does not."""
    path, text = lock_path(manifest_path), read_text(manifest_path)
    return check_text(family, load_lock(path) if path.exists() else None, text, str(manifest_path))


def check_text(
    family: Family,
    lock: Lock | None,
    text: str,
    file: str,
    *,
    current: bool = True,
    shipped: Shipped = lock_toolchain,
) -> Lock:
    """``lock``, found to fit ``family``, the manifest in ``text``, which errors call ``file``.

    InvalidManifest, with places in the manifest, if it is not for ``family`` as it stands now.

    ``current``: whether its toolchains must be those that are ``shipped`` with this tinsmith.
    """
    found = [
        Diagnostic(code, message, position(text, file, at), f"run: tinsmith lock {file}")
        for code, message, at in _misfits(family, lock, lock_path(Path(file)), shipped if current else None)
    ]
    if found or lock is None:
        raise InvalidManifest(sorted(found, key=lambda item: (item.span.line, item.span.column)), text)
    return lock


def _misfits(
    family: Family, lock: Lock | None, path: Path, shipped: Shipped | None
) -> list[tuple[str, str, Sequence[str | int]]]:
    toolchain, source, init = ("toolchain",), ("dataset", "source", "name"), ("train", "init")
    found: list[tuple[str, str, Sequence[str | int]]] = []
    known = lock.toolchains if lock else {}
    for name, image in toolchains_of(family).items():
        if name not in known:
            found.append((NOT_LOCKED, f"toolchain {name} has no digest in {path}", toolchain))
        elif shipped is not None and shipped(name, known[name].base_image, image=image) != known[name]:
            found.append((STALE, f"toolchain {name} has changed since {path} was made", toolchain))
    manifest = family.manifests[0]
    if not isinstance(manifest.dataset, SyntheticDataset) and (lock is None or lock.dataset is None):
        found.append((NOT_LOCKED, f"source {manifest.dataset.source.name} has no digest in {path}", source))
    if manifest.train.init is not None and (lock is None or lock.init is None):
        found.append((NOT_LOCKED, f"the weights to start from have no digest in {path}", init))
    if lock is not None and lock.manifest_digest != family.digest:
        found.append((STALE, f"{path} was made for other values of this manifest", ("name",)))
    return found
