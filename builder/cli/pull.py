from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from builder.cli.gate import AllowUnsigned
from builder.cli.options import DEFAULT_RELEASES, Progress, ReleaseFolder, one_of
from builder.errors import UsageError

PARTS = {"model": ("model.tflite", "labels.txt", "metadata.json")}
"""What ``--only`` may name: titles of files."""


def pull(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="name[@version], host/repository[:version], …@^1.2, …@sha256:…, or ./folder:name."
        ),
    ],
    folder: Annotated[
        Path | None, typer.Argument(help="The folder to write the files to; without it, the local releases get it.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="A variant of the family, such as int8: the release REF-NAME.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="model: just model.tflite, labels.txt and metadata.json.")] = None,
    allow_unsigned: AllowUnsigned = False,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
) -> None:
    """Get a release from a registry, a layout or the local releases; every byte is checked, and who signed it.

    The folder gets all of the files or none. Without a folder, the release and what is attached to it are added to the
    local releases.

    Example: tinsmith pull registry.example.org/models/shapes@^1.2 app/models/shapes --only model
    """
    from builder.cli.gate import gate
    from builder.cli.load import reporter
    from builder.registry.client import Registry
    from builder.registry.gate import Asked, in_words, index_in
    from builder.registry.index import RegistryIndex
    from builder.registry.offer import find_in, name_in
    from builder.registry.pull import copying, fetching, find, into_folder, into_layout
    from builder.registry.reference import Folder, Remote, is_reference, parse_reference, parse_release, variant_of
    from builder.release.layout import Layout
    from builder.release.versions import LayoutIndex
    from builder.settings import cache_folder
    from builder.trust.origin import origin_of
    from builder.trust.policy import Origin

    if only is not None:
        one_of("--only", only, tuple(PARTS))
    reference = parse_reference(ref) if is_reference(ref) else parse_release(ref)
    if variant is not None:
        reference = variant_of(reference, variant)
    layout, gatekeeper = Layout(releases), gate(allow_unsigned)
    if folder is None and only is not None:
        raise UsageError("--only writes files to a folder, and none is said", help=f"tinsmith pull {ref} FOLDER")
    with ExitStack() as stack:
        emit = stack.enter_context(reporter(progress))
        if isinstance(reference, Remote):
            registry = stack.enter_context(Registry(reference.host))
            name = reference.repository.rpartition("/")[2]
            needed = gatekeeper.policy.names_it(name) and (reference.tag or not reference.which.digest)
            index = index_in(RegistryIndex(registry, reference, emit), bool(needed))
            asked = Asked(Origin("registry", reference.place), name, index)
            fixed = reference.tag or reference.which.digest
            offer = find(registry, reference, None if fixed else gatekeeper.usable(asked))
            fetching_from = fetching(registry, reference.repository, cache_folder() / "downloads", emit)
        else:
            source = Layout(reference.path) if isinstance(reference, Folder) else layout
            if folder is None and not isinstance(reference, Folder):
                raise UsageError(f"{ref} is in {releases} already", help="say the folder to write its files to")
            name = name_in(source, reference.name, reference.which)
            origin = origin_of(source.root)
            if isinstance(reference, Folder):  # what is said to be elsewhere is, wherever it lies
                origin = Origin("folder", origin.place)
            needed = gatekeeper.policy.names_it(name) and not reference.which.digest
            asked = Asked(origin, name, index_in(LayoutIndex(source, name), bool(needed)))
            offer = find_in(source, name, reference.which, None if reference.which.digest else gatekeeper.usable(asked))
            fetching_from = copying(source)
        version = None if reference.which.digest else offer.release.version
        if isinstance(reference, Remote) and reference.tag:
            version = reference.tag
        for line in in_words(gatekeeper.admit(asked, version, offer)):
            emit("message", {"text": line})
        with fetching_from as fetch:
            if folder is None:
                into_layout(offer, layout, fetch)
                print(f"{offer.release.ref}  {offer.release.digest}")
                return
            for path in into_folder(offer, folder, fetch, PARTS[only] if only is not None else None):
                print(path)
