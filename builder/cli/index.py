from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import DEFAULT_RELEASES, Json, ReleaseFolder
from builder.cli.signing import Key, required_key
from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.trust.index import Index
    from builder.trust.keys import PublicKey, SigningKey
    from builder.trust.publish import IndexPlace

index = typer.Typer(
    name="index", help="The signed list of a repository's versions, which shows when an old one is served.",
    no_args_is_help=True,
)  # fmt: skip

Place = Annotated[str, typer.Argument(metavar="REF", help="host/repository, or the name of releases in --releases.")]
AtLeast = Annotated[
    int,
    typer.Option(
        "--at-least", metavar="SERIAL", min=0, show_default=False,
        help="Refuse a current index of a lower number: for machines that remember none.",
    ),
]  # fmt: skip
Expires = Annotated[int, typer.Option("--expires", metavar="DAYS", min=1, max=730, help="For how long it holds.")]


@index.command("renew")
def renew(
    ref: Place,
    key: Key = None,
    expires: Expires = 90,
    at_least: AtLeast = 0,
    releases: ReleaseFolder = DEFAULT_RELEASES,
) -> None:
    """Sign the index anew before it expires, or make it. In a layout it then lists all releases of the name.

    Example: tinsmith index renew shapes --key keys/team.key
    """
    signing = required_key(key)
    with _place(ref, releases) as place:
        change, lifetime = _listing(ref, releases, signing), datetime.timedelta(days=expires)
        _print(publish(place, change, signing, lifetime, at_least, expired=True))


@index.command("revoke")
def revoke(
    ref: Place,
    version: Annotated[str, typer.Argument(help="The version that nobody should use any more.")],
    reason: Annotated[str, typer.Option("--reason", help="Why: shown to everybody who asks for it.")],
    key: Key = None,
    expires: Expires = 90,
    at_least: AtLeast = 0,
    releases: ReleaseFolder = DEFAULT_RELEASES,
) -> None:
    """Mark a version as revoked. It stays where it is, but is refused by every tinsmith that reads the index.

    Example: tinsmith index revoke shapes 1.0.0 --reason "trained on mislabelled pictures"
    """
    from builder.trust.index import revoking

    signing, lifetime = required_key(key), datetime.timedelta(days=expires)
    with _place(ref, releases) as place:
        _print(publish(place, lambda found: revoking(found, version, reason), signing, lifetime, at_least))


@index.command("show")
def show(ref: Place, releases: ReleaseFolder = DEFAULT_RELEASES, as_json: Json = False) -> None:
    """Print the index, if somebody trusted signed it.

    Example: tinsmith index show shapes
    """
    from builder.trust.publish import current_index

    with _place(ref, releases) as place:
        trusted = _trusted(place)
        if not trusted and place.read() is not None:
            raise UsageError(
                f"no rule says who signs the index of {ref}", help="add one under [[trust]] in tinsmith.toml"
            )
        signed = current_index(place, trusted)
    if signed is None:
        raise UsageError(f"{ref} has no signed index", help=f"tinsmith index renew {ref}")
    found = signed.index
    if as_json:
        print(json.dumps(json.loads(found.payload()), indent=2, sort_keys=True))
    else:
        _print(found)


@contextmanager
def _place(ref: str, releases: Path) -> Iterator[IndexPlace]:
    """Where the index lies that ``ref`` means."""
    from builder.cli.load import reporter
    from builder.registry.client import Registry
    from builder.registry.index import RegistryIndex
    from builder.registry.reference import Remote, is_reference, parse_reference
    from builder.release.layout import Layout
    from builder.release.versions import LayoutIndex

    if not is_reference(ref):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", ref):
            raise UsageError(f"{ref!r} names no releases", help="host/repository, or a name in the layout: shapes")
        yield LayoutIndex(Layout(releases), ref)
        return
    remote = parse_reference(ref)
    if not isinstance(remote, Remote) or remote.tag or remote.which.digest or remote.which.versions:
        raise UsageError(
            f"{ref!r} names no repository of releases", help="host/repository; of a layout: NAME --releases FOLDER"
        )
    with Registry(remote.host) as registry, reporter("quiet") as emit:
        yield RegistryIndex(registry, remote, emit)


def _listing(ref: str, releases: Path, key: SigningKey) -> Callable[[Index], Index]:
    """What a renewal adds: in a layout all that is there, in a registry nothing."""
    from builder.release.layout import Layout
    from builder.release.versions import listing_all

    layout = Layout(releases)
    return (lambda found: listing_all(found, layout, key.public)) if "/" not in ref else (lambda found: found)


def publish(
    place: IndexPlace,
    change: Callable[[Index], Index],
    key: SigningKey,
    lifetime: datetime.timedelta,
    at_least: int,
    *,
    expired: bool = False,
) -> Index:
    """Changes the index at ``place``; see ``builder.trust.publish``."""
    from builder.settings import state_folder
    from builder.trust.memory import Memory
    from builder.trust.publish import publish

    now = datetime.datetime.now(datetime.UTC)
    return publish(
        place, change, key, _trusted(place), Memory(state_folder()), now,
        lifetime=lifetime, at_least=at_least, expired=expired,
    )  # fmt: skip


def _trusted(place: IndexPlace) -> list[tuple[PublicKey, ...]]:
    """Who has to have signed the index there: of each settings file with a rule, one of its keys."""
    from builder.configuration import configurations
    from builder.trust.policy import Origin, load_policy

    origin = Origin("registry" if "/" in place.repository else "own", place.repository)
    rules = load_policy(configurations()).covering(place.repository.rpartition("/")[2], origin)
    return [rule.index_keys for rule in rules]


def _print(found: Index) -> None:
    from builder.trust.memory import has_expired

    held = "EXPIRED at" if has_expired(found, datetime.datetime.now(datetime.UTC)) else "holds until"
    print(f"{found.repository}  number {found.serial}, {held} {found.expires}")
    for version, listed in found.releases.items():
        why = f"  REVOKED: {found.revoked[version]}" if version in found.revoked else ""
        print(f"  {version:16} {listed.digest}{why}")
