"""Does a lock fit its manifest? Reads no network and no data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.errors import Diagnostic, InvalidManifest
from builder.lock.file import load_lock, lock_path
from builder.lock.model import Lock
from builder.lock.toolchains import lock_toolchain, toolchains_of
from builder.manifest.dataset import SyntheticDataset
from builder.manifest.family import Family
from builder.manifest.load import position
from builder.manifest.source import read_text

NOT_LOCKED, STALE = "not-locked", "stale-lock"


def locked(family: Family, manifest_path: Path) -> Lock:
    """The lock beside ``manifest_path``, found to fit ``family``; InvalidManifest if it is missing or does not."""
    path = lock_path(manifest_path)
    if not path.exists():
        check_lock(family, None, manifest_path)
    lock = load_lock(path)
    check_lock(family, lock, manifest_path)
    return lock


def check_lock(family: Family, lock: Lock | None, manifest_path: Path) -> None:
    """InvalidManifest, with places in the manifest, if ``lock`` is not for ``family`` as it stands now."""
    text, file = read_text(manifest_path), str(manifest_path)
    found = [
        Diagnostic(code, message, position(text, file, at), f"run: tinsmith lock {manifest_path}")
        for code, message, at in _misfits(family, lock, lock_path(manifest_path))
    ]
    if found:
        raise InvalidManifest(sorted(found, key=lambda item: (item.span.line, item.span.column)), text)


def _misfits(family: Family, lock: Lock | None, path: Path) -> list[tuple[str, str, Sequence[str | int]]]:
    toolchain, source, init = ("toolchain",), ("dataset", "source", "name"), ("train", "init")
    found: list[tuple[str, str, Sequence[str | int]]] = []
    known = lock.toolchains if lock else {}
    for name, image in toolchains_of(family).items():
        if name not in known:
            found.append((NOT_LOCKED, f"toolchain {name} has no digest in {path}", toolchain))
        elif lock_toolchain(name, known[name].base_image, image=image) != known[name]:
            found.append((STALE, f"toolchain {name} has changed since {path} was made", toolchain))
    manifest = family.manifests[0]
    if not isinstance(manifest.dataset, SyntheticDataset) and (lock is None or lock.dataset is None):
        found.append((NOT_LOCKED, f"source {manifest.dataset.source.name} has no digest in {path}", source))
    if manifest.train.init is not None and (lock is None or lock.init is None):
        found.append((NOT_LOCKED, f"the weights to start from have no digest in {path}", init))
    if lock is not None and lock.manifest_digest != family.digest:
        found.append((STALE, f"{path} was made for other values of this manifest", ("name",)))
    return found
