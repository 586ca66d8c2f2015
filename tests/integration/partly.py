"""The first steps of a plan, run in this process as a build would run them: what follows takes longest and is built
elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder.build import build
from builder.cli.load import load_planned
from builder.engine.local import LocalEngine
from builder.lock.sources import source_opener
from builder.release.weights import release_files
from builder.settings import cache_folder
from builder.store.disk import DiskStore
from tests.fakes import Events


class Partly:
    """What ``step`` of the locked ``manifest``, and all that it needs, leave in ``store``.

    ``overrides`` are folders of sources by their names; ``releases`` is where weights to start from are.
    """

    def __init__(
        self,
        step: str,
        manifest: Path,
        store: Path,
        *,
        overrides: Mapping[str, Path] | None = None,
        releases: Path = Path("releases"),
    ) -> None:
        (planned,) = load_planned([manifest])
        (plan,) = planned.plans
        wanted = replace(plan, target=step)
        self._store, events = DiskStore(store), Events()
        sources = source_opener(
            planned.family.only, planned.lock, planned.path, overrides or {}, cache_folder(), events,
            lambda locked: release_files(locked, releases, cache_folder()), self._store.write_bytes,
        )  # fmt: skip
        self._results = build(
            replace(wanted, steps=wanted.needed()),
            code=planned.code, sources=sources, store=self._store, engine=LocalEngine, emit=events,
        )  # fmt: skip

    def read(self, step: str, path: str) -> bytes:
        return self._store.read(self._results[step].artifact(path).digest)
