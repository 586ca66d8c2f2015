from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import (
    DEFAULT_RELEASES,
    Progress,
    ReleaseFolder,
    Sources,
    one_of,
    source_paths,
)


def compile_(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="A manifest file.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write, a new one.", show_default=False)],
    to: Annotated[str, typer.Option("--to", help="dockerfile.")] = "dockerfile",
    source: Sources = None,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
) -> None:
    """Write a build as a folder that Docker alone builds, to the same release digest.


    The data are copied into it. A manifest with variants gives a folder for each of them, by name.

    Example: tinsmith compile manifests/shapes.yaml --to dockerfile -o shapes-docker
    """
    from builder.cli.load import load_planned, reporter
    from builder.compile.subject import compile_planned
    from builder.release.weights import release_files
    from builder.settings import cache_folder

    one_of("--to", to, ("dockerfile",))
    (planned,) = load_planned([manifest])
    local = source_paths(source, [planned.family])
    with reporter(progress) as emit:
        written = compile_planned(
            planned.family, planned.lock, planned.plans, planned.code, out,
            manifest_path=planned.path, overrides=local, cache=cache_folder(), emit=emit,
            weights=lambda locked: release_files(locked, releases, cache_folder()),
        )  # fmt: skip
    for folder in written:
        print(folder)
