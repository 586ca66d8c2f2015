from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import (
    DEFAULT_RELEASES,
    DEFAULT_STORE,
    EngineName,
    Json,
    Manifests,
    Progress,
    ReleaseFolder,
    Sources,
    StoreFolder,
    source_paths,
)
from builder.settings import FILES


def build(
    manifests: Manifests,
    source: Sources = None,
    engine: EngineName = "auto",
    store: StoreFolder = DEFAULT_STORE,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    out: Annotated[Path, typer.Option(help="Where the files of each release are laid out to be used.")] = FILES,
    progress: Progress = "auto",
    as_json: Json = False,
) -> None:
    """Run what is not cached, verify, and release.

    Example: tinsmith build manifests/raccoon-025.yaml --source raccoon=../raccoon_dataset
    """
    from builder.build import build as run_plan
    from builder.cli.load import load_planned, reporter
    from builder.cli.table import print_built
    from builder.engine.select import choose
    from builder.lock import open_source
    from builder.release.layout import Layout
    from builder.release.make import lay_out_training, make_release, pull
    from builder.resources import docker_folder
    from builder.settings import cache_folder
    from builder.store.disk import DiskStore

    layout, opened = Layout(releases), DiskStore(store)
    planned = list(load_planned(manifests))
    sources = source_paths(source, [item.manifest for item in planned])
    layout.releases()  # what is wrong with them is better known before an hour of training
    built = []
    with reporter(progress) as emit:
        chosen = functools.cache(lambda: choose(engine))
        for item in planned:
            # Resolved only when a step reads it: a cached build needs no data at hand.
            needs_source = item.lock.dataset is not None and opened.lookup(item.plan.step("ingest").key) is None
            data = (
                open_source(item.manifest, item.lock, item.path, sources, cache_folder(), emit)
                if needs_source
                else None
            )
            results = run_plan(item.plan, code=item.code, source=data, store=opened, engine=chosen, emit=emit)
            made = make_release(
                item.manifest, item.lock, item.plan, item.code, docker_folder(), results, opened, layout
            )
            folder = out / f"{item.manifest.name}-{item.manifest.version}"
            pull(layout, made.release, folder)
            lay_out_training(results, opened, folder / "training")
            built.append((made, folder))
        if chosen.cache_info().currsize:
            chosen().close()
    print_built(built, as_json=as_json)
