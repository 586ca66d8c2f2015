from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import DEFAULT_RELEASES, Progress, ReleaseFolder, ReleaseRef


def push(
    release: ReleaseRef,
    ref: Annotated[str, typer.Argument(metavar="REF", help="host/repository[:version], or a folder such as ./mirror.")],
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
) -> None:
    """Copy a release, and what is attached to it, to an OCI registry or to another OCI layout.

    Logins are those of docker login. A version that is there with another digest is refused, and never replaced.

    Example: tinsmith push shapes@1.0.0 registry.example.org/models/shapes
    """
    from builder.cli.load import reporter
    from builder.registry.client import Registry
    from builder.registry.offer import find_in
    from builder.registry.pull import copying, into_layout
    from builder.registry.push import push as push_to
    from builder.registry.push import target_of
    from builder.registry.reference import Folder, parse_reference, parse_release
    from builder.release.layout import Layout

    local, place, layout = parse_release(release), parse_reference(ref), Layout(releases)
    offer = find_in(layout, local.name or None, local.which)
    if isinstance(place, Folder):
        with copying(layout) as fetch:
            into_layout(offer, Layout(place.path), fetch)
        print(f"{place.path}:{offer.release.ref}  {offer.release.digest}")
        return
    target = target_of(place, offer)
    with reporter(progress) as emit, Registry(target.host) as registry:
        push_to(layout, offer, target, registry, emit)
    print(f"{target.place}:{target.tag}@{offer.release.digest}")
