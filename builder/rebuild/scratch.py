"""The store that a rebuild works in: nothing in it was there before, so nothing is taken for built."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.digest import Digest
from builder.errors import UsageError
from builder.store.disk import DiskStore

_MARK = "rebuild-of"


@contextmanager
def fresh_store(folder: Path | None, release: Digest) -> Iterator[tuple[DiskStore, bool]]:
    """(an empty store, False); removed in the end unless it is ``folder``.

    ``folder`` may hold what a stopped rebuild of the same ``release`` left: then (its store, True). UsageError if it
    holds anything else.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="tinsmith-rebuild-") as scratch:
            yield DiskStore(Path(scratch)), False
        return
    mark = folder / _MARK
    stopped = mark.is_file() and mark.read_text(encoding="utf-8", errors="replace") == release
    if not stopped and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", help="a rebuild takes nothing for built: give it an empty folder")
    store = DiskStore(folder)
    mark.write_text(release, encoding="utf-8")
    yield store, stopped
    # Finished: another rebuild here would have nothing to build.
    mark.unlink(missing_ok=True)
