"""The weights of a released model, as a locked source that another training starts from."""

from __future__ import annotations

import tempfile
from pathlib import Path

from builder.digest import hex_of
from builder.errors import DatasetError
from builder.lock.content import dataset_digest
from builder.lock.model import LockedSource
from builder.release.layout import Layout
from builder.release.release import Release

FOLDER = "checkpoint"
"""Where in a release the weights as trained lie."""


def lock_release(ref: str, releases: Path) -> LockedSource:
    """What the weights of the release ``ref`` (name@version) are. UsageError if it is not in ``releases``."""
    release = Layout(releases).find(ref)
    with tempfile.TemporaryDirectory(prefix="tinsmith-") as scratch:
        folder = Path(scratch)
        _write(Layout(releases), release, folder)
        found = dataset_digest(folder, (FOLDER,))
    return LockedSource(
        name=ref,
        digest=found.digest,
        files=found.files,
        bytes=found.bytes,
        paths=(FOLDER,),
        origin=f"release:{release.digest}",
    )


def release_files(locked: LockedSource, releases: Path, cache: Path) -> Path:
    """A folder in ``cache`` with the weights that ``locked`` names, each file checked as it is written."""
    folder = cache / "sources" / hex_of(locked.digest)
    if not folder.is_dir():
        layout = Layout(releases)
        release = layout.find(str(locked.origin).removeprefix("release:"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".release-", dir=folder.parent) as scratch:
            files = Path(scratch) / "files"
            _write(layout, release, files)
            try:
                files.rename(folder)
            except OSError:
                # Another process was faster: its files are those of the same release.
                if not folder.is_dir():
                    raise
    return folder


def _write(layout: Layout, release: Release, folder: Path) -> None:
    titles = [title for title in release.files if title.startswith(f"{FOLDER}/")]
    if not titles:
        raise DatasetError(
            f"release {release.ref} holds no weights", help="it was made by an older tinsmith: build it again"
        )
    for title in titles:
        path = folder / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(layout.read(release, title))
