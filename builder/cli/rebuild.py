from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import (
    DEFAULT_RELEASES,
    EngineName,
    Json,
    Progress,
    ReleaseFolder,
    ReleaseRef,
    Sources,
    named_paths,
)


def rebuild(
    release: ReleaseRef,
    source: Sources = None,
    engine: EngineName = "auto",
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="An empty folder to build in, kept; a stopped rebuild goes on from it."),
    ] = None,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the files built now are written.")] = None,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    trust_recipe: Annotated[
        bool, typer.Option("--trust-recipe", help="Also make a toolchain that this tinsmith does not have.")
    ] = False,
    progress: Progress = "auto",
    as_json: Json = False,
) -> None:
    """Build a release again from its own recipe, and compare digest by digest.

    Needs no project: steps run as the release's plan has them, with the release's step code and toolchains. Exit 5
    if a byte differs.

    Example: tinsmith rebuild raccoon-025@1.0.0 --source raccoon=../raccoon_dataset
    """
    import functools
    import json
    import tempfile

    from builder.cli.load import reporter
    from builder.engine.select import choose
    from builder.lock.sources import source_opener
    from builder.rebuild import verdict
    from builder.rebuild.permission import check_permitted
    from builder.rebuild.rebuild import rebuild as build_again
    from builder.rebuild.recipe import recipe_of
    from builder.rebuild.scratch import fresh_store
    from builder.rebuild.steps import steps_of
    from builder.release.layout import Layout
    from builder.release.make import read_run
    from builder.release.weights import release_files
    from builder.settings import cache_folder

    layout = Layout(releases)
    found = layout.find(release)
    recipe, recorded = recipe_of(layout, found), steps_of(layout, found)
    local = named_paths(source, [item.name for item in recipe.manifest.sources])
    with (
        reporter(progress) as emit,
        fresh_store(store, found.digest) as (opened, stopped),
        tempfile.TemporaryDirectory(prefix="tinsmith-recipe-") as folder,
    ):
        if stopped:
            emit("message", {"text": f"going on with the rebuild that was stopped in {store}"})
        recipe.lay_out(Path(folder))
        chosen = functools.cache(lambda: choose(engine, lambda name: Path(folder) / "toolchains" / name))
        try:
            check_permitted(layout, found, recipe, chosen(), trusted=trust_recipe)
            opener = source_opener(
                recipe.manifest, recipe.lock, None, local, cache_folder(), emit,
                lambda locked: release_files(locked, releases, cache_folder()), lambda listing: None,
                known=recipe.listings.get,
            )  # fmt: skip
            rebuilt = build_again(found, recipe, recorded, sources=opener, store=opened, engine=chosen, emit=emit)
        finally:
            if chosen.cache_info().currsize:
                chosen().close()
    if keep is not None:
        for title, data in rebuilt.contents.items():
            (keep / title).parent.mkdir(parents=True, exist_ok=True)
            (keep / title).write_bytes(data)
    metrics = layout.read(found, "metrics.json") if "metrics.json" in found.files else None
    lines = list(verdict.reasons(rebuilt, metrics, read_run(layout, found)))
    if as_json:
        print(json.dumps(verdict.document(rebuilt, lines), indent=2, sort_keys=True))
    else:
        for step in rebuilt.steps:
            print(f"{step.step.name:12} {'same' if step.same else 'DIFFERS':8} {step.files} files")
        if rebuilt.same:
            print(f"{found.ref} built again: the same, {len(found.files)} files, {found.digest}")
    verdict.judge(rebuilt, lines)
