"""Checkpoints of a training that runs here, kept in the shared store meanwhile, for whoever goes on with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.digest import Digest
from builder.engine.base import Emit
from builder.errors import TinsmithError
from builder.plan.step import Step
from builder.store.base import BuildStore, SharedStore
from builder.store.cached import CachedStore
from builder.store.workspaces import CHECKPOINTS

_POLL_SECONDS = 0.5


@contextmanager
def kept(step: Step, scratch: Path, store: BuildStore, emit: Emit) -> Iterator[None]:
    """While ``step`` runs in the folder ``scratch``, keeps its checkpoints in ``store``, if other machines use that;
    before, fetches those that are there. Of a step that cannot go on from checkpoints, nothing."""
    if not step.resumable or not isinstance(store, CachedStore):
        yield
        return
    folder = scratch / "out" / CHECKPOINTS
    for place in (folder.parent, folder):  # a step that was stopped may have left anything
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    if count := store.restore_checkpoints(step.key, folder):
        emit("message", {"step": step.name, "text": f"{count} checkpoint(s) from the store"})
    keeper = _Keeper(step.key, folder, store, emit)
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()


def drop(step: Step, store: BuildStore) -> None:
    """Removes what ``kept`` has left of ``step``, which is finished. If that fails it only takes room."""
    if step.resumable and isinstance(store, CachedStore):
        with suppress(TinsmithError):
            store.drop_checkpoints(step.key)


class _Keeper(threading.Thread):
    """Looks for new checkpoints. That one cannot be kept ends no training: the next one may be."""

    def __init__(self, key: Digest, folder: Path, store: SharedStore, emit: Emit) -> None:
        super().__init__(name=f"checkpoints-{key[7:15]}", daemon=True)
        self._key, self._folder, self._store, self._emit = key, folder, store, emit
        self._seen = set(self._found())
        self._ended = threading.Event()

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            self._keep()
        self._keep()

    def _found(self) -> list[tuple[Path, int]]:
        found: list[tuple[Path, int]] = []
        if self._folder.is_symlink():
            return found
        for path in sorted(self._folder.glob("*.checkpoint")):
            try:
                found.append((path, path.lstat().st_mtime_ns))
            except FileNotFoundError:  # the training keeps only the newest
                continue
        return found

    def _keep(self) -> None:
        for item in self._found():
            if item in self._seen:
                continue
            try:
                self._store.save_checkpoint(self._key, item[0])
            except FileNotFoundError:
                continue
            except ValueError:  # another name than that of a checkpoint
                pass
            except (TinsmithError, OSError) as error:
                self._say(f"{item[0].name} is not in the store yet: {error}")
                return
            self._seen.add(item)

    def _say(self, text: str) -> None:
        try:
            self._emit("message", {"text": text})
        except TinsmithError:  # nobody waits for this training any more
            return
