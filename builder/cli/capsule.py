from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_RELEASES, Progress, ReleaseFolder, ReleaseRef, Sources, named_paths


def capsule(
    release: ReleaseRef,
    out: Annotated[Path, typer.Option("-o", "--out", help="The tar to write.", show_default=False)],
    releases: ReleaseFolder = DEFAULT_RELEASES,
    source: Sources = None,
    images: Annotated[bool, typer.Option(help="Docker images of the toolchains and their bases.")] = True,
    wheels: Annotated[bool, typer.Option(help="Python packages of the toolchains.")] = True,
    trust_recipe: Annotated[
        bool, typer.Option("--trust-recipe", help="Also make a toolchain that this tinsmith does not have.")
    ] = False,
    progress: Progress = "auto",
) -> None:
    """Write a release with all that a rebuild without network needs: data, images, packages.


    Where no Docker engine answers, there are no images in it.

    Example: tinsmith capsule shapes@1.0.0 -o shapes-1.0.0.tar
    """
    from builder.cli.load import reporter
    from builder.compile.capsule import make_capsule
    from builder.engine.docker import DockerEngine
    from builder.errors import NoEngine, UsageError
    from builder.lock.sources import source_opener
    from builder.rebuild.recipe import recipe_of
    from builder.release.layout import Layout
    from builder.release.weights import release_files
    from builder.settings import cache_folder

    if out.is_dir() or not out.parent.is_dir():
        raise UsageError(
            f"{out} is no file that could be written", help="give -o a file name in a folder that is there"
        )
    layout = Layout(releases)
    found = layout.find(release)
    recipe = recipe_of(layout, found)
    local = named_paths(source, [item.name for item in recipe.manifest.sources])
    with reporter(progress) as emit:
        engine = None
        if images:
            try:
                engine = DockerEngine.connect()
            except NoEngine as error:
                emit("message", {"text": f"no images will be in it: {error.message}"})
        opened = source_opener(
            recipe.manifest, recipe.lock, None, local, cache_folder(), emit,
            lambda locked: release_files(locked, releases, cache_folder()), lambda listing: None,
            known=recipe.listings.get,
        )  # fmt: skip
        try:
            make_capsule(
                layout, found, recipe, opened, out,
                client=engine.client if engine else None, wheels=wheels, trusted=trust_recipe, emit=emit,
            )  # fmt: skip
        finally:
            if engine is not None:
                engine.close()
    print(f"{out}  {out.stat().st_size / 1e6:,.0f} MB  {found.ref} {found.digest}")
