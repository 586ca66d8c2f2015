"""Where a manifest's source lies on this machine, and whether it holds what was locked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.digest import digest_json, hex_of
from builder.errors import DatasetError, IntegrityError
from builder.lock.checkout import HTTPS, checkout
from builder.lock.content import dataset_digest
from builder.lock.model import Lock
from builder.manifest.dataset import VocDataset
from builder.manifest.model import Manifest

Emit = Callable[[str, Mapping[str, Any]], None]


def resolve_source(
    dataset: VocDataset,
    manifest_path: Path,
    overrides: Mapping[str, Path],
    cache: Path,
    emit: Emit,
    *,
    transports: Sequence[str] = HTTPS,
) -> Path:
    """The folder of the source of ``dataset``: an override, else a folder beside the manifest, else a git commit.

    A commit is fetched into ``cache`` once. Errors: those of ``checkout``; DatasetError if there is no such folder.
    """
    source = dataset.source
    if source.name in overrides:
        return _folder(overrides[source.name], source.name, "check --source")
    if source.path is not None:
        help = f"put the data there, or give a copy: --source {source.name}=PATH"
        return _folder(manifest_path.parent / source.path, source.name, help)
    assert source.git is not None and source.commit is not None
    folder = cache / "sources" / hex_of(digest_json({"git": source.git, "commit": source.commit}))
    if not folder.is_dir():
        emit("message", {"text": f"fetching {source.git} at {source.commit[:12]}"})
        try:
            checkout(source.git, source.commit, folder, transports=transports)
        except OSError as error:
            raise DatasetError(f"cannot write to {cache}: {error.strerror}", code="dataset-cache") from error
    return folder


def open_source(
    manifest: Manifest,
    lock: Lock,
    manifest_path: Path,
    overrides: Mapping[str, Path],
    cache: Path,
    emit: Emit,
    *,
    transports: Sequence[str] = HTTPS,
) -> Path | None:
    """The folder of the manifest's source, found to hold just what was locked; None if it needs none.

    IntegrityError if it holds anything else.
    """
    dataset = manifest.dataset
    if not isinstance(dataset, VocDataset) or lock.dataset is None:
        return None
    folder = resolve_source(dataset, manifest_path, overrides, cache, emit, transports=transports)
    found = dataset_digest(folder, folders_of(dataset))
    if found.digest != lock.dataset.digest:
        raise IntegrityError(
            f"source {dataset.source.name} in {folder} is not what was locked: expected {lock.dataset.digest} "
            f"({lock.dataset.files} files, {lock.dataset.bytes:,} bytes), "
            f"found {found.digest} ({found.files} files, {found.bytes:,} bytes)",
            help="restore the data; if it changed on purpose, remove the manifest's .lock and run: "
            f"tinsmith lock {manifest_path}",
        )
    return folder


def folders_of(dataset: VocDataset) -> tuple[str, ...]:
    """The folders within the source whose content counts."""
    return tuple(sorted({dataset.images, dataset.annotations}))


def _folder(path: Path, name: str, help: str) -> Path:
    if not path.is_dir():
        raise DatasetError(f"source {name}: no folder {path}", help=help, code="dataset-source")
    return path
