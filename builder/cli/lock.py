from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import DEFAULT_RELEASES, Manifests, Progress, ReleaseFolder, Sources, pairs, source_paths


def lock(
    manifests: Manifests,
    source: Sources = None,
    base_image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOOLCHAIN=REF", help="Another base image: name@sha256:…, or a local image's sha256:… id."
        ),
    ] = None,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
) -> None:
    """Resolve every name in a manifest to a digest, into the .lock beside it.

    Example: tinsmith lock manifests/raccoon-025.yaml --source raccoon=../raccoon_dataset
    """
    from builder.cli.load import load_all, reporter
    from builder.lock.file import write_lock
    from builder.lock.make import make_lock
    from builder.lock.place import lock_path
    from builder.release.weights import lock_release
    from builder.settings import cache_folder

    images = pairs("--base-image", base_image)
    loaded = load_all(manifests)
    sources = source_paths(source, [family for _, family in loaded])
    with reporter(progress) as emit:
        for path, family in loaded:
            made = make_lock(
                family, path, sources, images, cache_folder(), lambda ref: lock_release(ref, releases), emit
            )
            write_lock(made, lock_path(path))
            print(lock_path(path))
