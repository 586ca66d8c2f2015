from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import (
    DEFAULT_RELEASES,
    DEFAULT_STORE,
    Progress,
    ReleaseFolder,
    Sources,
    StoreFolder,
    one_of,
    source_paths,
)
from builder.errors import InvalidManifest, UsageError, refuse

if TYPE_CHECKING:
    from builder.plan.summary import Summary

DOCKERFILE, MATRIX = "dockerfile", "matrix"


def compile_(
    manifests: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MANIFEST...", help="A manifest file; for a matrix several, or folders.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The folder to write, a new one; the file of a matrix.", show_default=False),
    ] = None,
    to: Annotated[str, typer.Option("--to", help="dockerfile or matrix.")] = DOCKERFILE,
    source: Sources = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="REV", help="matrix: only what changed since a git revision.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=256, help="matrix: at most so many jobs.")] = 256,
    store: StoreFolder = DEFAULT_STORE,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
) -> None:
    """Write a build in another form: a folder that Docker alone builds, or the matrix of a CI service.

    dockerfile: to the same release digest. The data are copied into it. A manifest with variants gives a folder for
    each of them, by name. matrix: one line of JSON with a job a manifest.

    Example: tinsmith compile manifests/shapes.yaml --to dockerfile -o shapes-docker
    """
    one_of("--to", to, (DOCKERFILE, MATRIX))
    if to == MATRIX:
        if source:
            raise UsageError("--source is for --to dockerfile")
        _matrix(manifests or [], since, most, store, out)
        return
    if since is not None:
        raise UsageError("--since is for --to matrix")
    if len(manifests or []) != 1:
        raise UsageError("--to dockerfile takes one manifest")
    if out is None:
        raise UsageError("--to dockerfile writes a folder", help="name a new one: -o FOLDER")
    (manifest,) = manifests or []
    _dockerfile(manifest, out, source, releases, progress)


def _dockerfile(manifest: Path, out: Path, source: list[str] | None, releases: Path, progress: str) -> None:
    from builder.cli.load import load_planned, reporter
    from builder.compile.subject import compile_planned
    from builder.release.weights import release_files
    from builder.settings import cache_folder

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


def _matrix(places: list[Path], since: str | None, most: int, store: str, out: Path | None) -> None:
    """The valid manifests' matrix, then InvalidManifest for the others, if there are any."""
    from builder.changes.cost import cached_in, seconds
    from builder.cli.changed import compare
    from builder.compile.matrix import Entry, matrix, text

    valid: list[tuple[str, Summary]] = []
    if since is not None:
        found = compare(places, since)
        invalid = found.invalid
        valid = [(change.path, change.after) for change in found.changes if change.builds and change.after is not None]
    else:
        invalid = []
        for path, summary in _summaries(places):
            if isinstance(summary, InvalidManifest):
                invalid.append(summary)
            else:
                valid.append((path, summary))
    cached = cached_in(store)
    entries = [Entry(path, item.name, item.version, seconds(item.plans, cached).to_run) for path, item in valid]
    written = text(matrix(entries, most))
    if out is None:
        print(written, end="")
    else:
        out.write_text(written, encoding="ascii")
    refuse(invalid)


def _summaries(places: list[Path]) -> list[tuple[str, Summary | InvalidManifest]]:
    from builder.changes.manifests import DEFAULT, on_disk
    from builder.plan.code import read_step_code
    from builder.plan.summaries import summaries
    from builder.resources import steps_folder

    texts = {}
    for place in places or [Path(DEFAULT)]:
        if not place.exists():
            raise UsageError(f"there is no {place}", help="name manifests, or folders of them")
        texts.update({item.path: item for item in on_disk(place)})
    found = summaries(list(texts.values()), read_step_code(steps_folder()))
    return list(zip(texts, found, strict=True))
