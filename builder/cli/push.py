from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.index import AtLeast
from builder.cli.options import DEFAULT_RELEASES, Progress, ReleaseFolder, ReleaseRef
from builder.cli.signing import Key

if TYPE_CHECKING:
    from builder.engine.base import Emit
    from builder.registry.client import Registry
    from builder.registry.reference import Remote
    from builder.release.release import Release
    from builder.trust.keys import SigningKey


def push(
    release: ReleaseRef,
    ref: Annotated[str, typer.Argument(metavar="REF", help="host/repository[:version], or a folder such as ./mirror.")],
    key: Key = None,
    expires: Annotated[
        int, typer.Option("--expires", metavar="DAYS", min=1, max=730, help="For how long the index of versions holds.")
    ] = 90,
    at_least: AtLeast = 0,
    releases: ReleaseFolder = DEFAULT_RELEASES,
    progress: Progress = "auto",
) -> None:
    """Copy a release, and what is attached to it, to an OCI registry or to another OCI layout.

    Where a key is known, the release is signed if that key did not yet, and the registry's signed index of versions
    lists it. Logins are those of docker login. A version that is there with another digest is never replaced.

    Example: tinsmith push shapes@1.0.0 registry.example.org/models/shapes --key keys/team.key
    """
    from builder.cli.load import reporter
    from builder.cli.signing import sign_as_built, signing_key
    from builder.registry.client import Registry
    from builder.registry.offer import find_in, name_in, offer_in
    from builder.registry.pull import copying, into_layout
    from builder.registry.push import check_folder, target_of
    from builder.registry.push import push as push_to
    from builder.registry.reference import Folder, parse_reference, parse_release
    from builder.release.layout import Layout
    from builder.release.sign import is_signed

    local, place, layout = parse_release(release), parse_reference(ref), Layout(releases)
    offer, signing = find_in(layout, name_in(layout, local.name, local.which), local.which), signing_key(key)
    target = None
    if isinstance(place, Folder):
        check_folder(place, offer)
    else:
        target = target_of(place, offer)
    if signing is not None and not is_signed(layout, offer.release, signing.public):
        sign_as_built(layout, offer.release, signing)
        offer = offer_in(layout, offer.release)
    if isinstance(place, Folder):
        with copying(layout) as fetch:
            into_layout(offer, Layout(place.path), fetch)
        print(f"{place.path}:{offer.release.ref}  {offer.release.digest}")
        return
    assert target is not None
    with reporter(progress) as emit, Registry(target.host) as registry:
        push_to(layout, offer, target, registry, emit)
        _list(registry, target, offer.release, signing, expires, at_least, emit)
    print(f"{target.place}:{target.tag}@{offer.release.digest}")


def _list(
    registry: Registry,
    target: Remote,
    release: Release,
    key: SigningKey | None,
    days: int,
    at_least: int,
    emit: Emit,
) -> None:
    """Has the registry's signed index list the release, or says that it does not."""
    from builder.cli.index import publish
    from builder.registry.index import RegistryIndex
    from builder.release.attached import subject_of
    from builder.trust.index import listing

    place = RegistryIndex(registry, target, emit)
    if key is not None:
        lifetime = datetime.timedelta(days=days)
        found = publish(place, lambda index: listing(index, subject_of(release), release.size), key, lifetime, at_least)
        text = f"the signed index of {target.place} lists it: number {found.serial}, holds until {found.expires}"
        emit("message", {"text": text})
        return
    text = "no key: it has no new signature, and no signed index lists it"
    if place.read() is not None:
        text = f"the signed index of {target.place} does not list it, so it is refused: push it again with --key FILE"
    emit("message", {"text": text})
