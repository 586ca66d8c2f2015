"""The releases that a layout or a repository offers, each as the trust policy judged it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from builder.errors import IntegrityError, StoreUnreachable, UsageError
from builder.registry.client import Registry
from builder.registry.gate import Asked, Gate, index_in
from builder.registry.index import RegistryIndex
from builder.registry.offer import Offer, by_version, offer_in
from builder.registry.pull import Fetch, copying, fetching, find
from builder.registry.receive import Emit
from builder.registry.reference import Named, Remote
from builder.release.layout import Layout
from builder.release.release import Release
from builder.release.versions import LayoutIndex
from builder.trust.policy import Decision, Origin


@dataclass(frozen=True)
class Offered:
    """A release that may be listed. ``place`` is the host/repository it comes from, None for a layout."""

    offer: Offer
    decision: Decision
    fetch: Fetch
    place: str | None = None


@dataclass(frozen=True)
class Left:
    """What is not listed, and why: ``damaged``, or else not let in by the trust policy."""

    what: str
    error: IntegrityError
    damaged: bool = False


def in_layout(layout: Layout, origin: Origin, gate: Gate, name: str | None = None) -> Iterator[Offered | Left]:
    """The releases of ``layout``, of one ``name`` or of all. IntegrityError if its index.json cannot be read."""
    broken: list[IntegrityError] = []
    releases = layout.releases(broken.append)
    yield from (Left(str(layout.root), error, damaged=True) for error in broken)
    with copying(layout) as fetch:
        for each, group in groupby(releases, lambda release: release.name):
            if name in (None, each):
                yield from _of_name(layout, each, list(group), origin, gate, fetch)


def _of_name(
    layout: Layout, name: str, releases: Sequence[Release], origin: Origin, gate: Gate, fetch: Fetch
) -> Iterator[Offered | Left]:
    try:
        index = None if origin.kind == "own" else index_in(LayoutIndex(layout, name), gate.policy.names_it(name))
        asked = Asked(origin, name, index)
        usable = gate.usable(asked)
    except IntegrityError as error:
        yield Left(f"{layout.root}:{name}", error)
        return
    there = {release.version for release in releases}
    yield from (_hidden(f"{layout.root}:{name}", version) for version in usable or () if version not in there)
    for release in releases:
        if usable is not None and release.version not in usable:
            yield Left(release.ref, _unlisted(f"{layout.root}:{name}"))
            continue
        try:
            offer = offer_in(layout, release)
        except IntegrityError as error:
            yield Left(release.ref, error, damaged=True)
            continue
        yield _judged(gate, asked, offer, fetch, None)


def in_registry(registry: Registry, remote: Remote, gate: Gate, parts: Path, emit: Emit) -> Iterator[Offered | Left]:
    """Every version in a repository: those that the signed index lists, where a rule asks for one, or the tags that are
    versions. What has come of a transfer is kept in ``parts`` until all is there.

    StoreUnreachable if the registry does not answer, or has nothing there.
    """
    name = remote.repository.rpartition("/")[2]
    try:
        index = index_in(RegistryIndex(registry, remote, emit), gate.policy.names_it(name))
        asked = Asked(Origin("registry", remote.place), name, index)
        usable = gate.usable(asked)
    except IntegrityError as error:
        yield Left(remote.place, error)
        return
    tags = registry.tags(remote.repository)
    versions = _versions(tags if usable is None else usable)
    for version in _versions(tags):
        if version not in versions:
            yield Left(f"{name}@{version}", _unlisted(remote.place))
    if not versions:
        raise StoreUnreachable(f"{remote.place} has no versions", help="is it the right repository?", code="not-found")
    with fetching(registry, remote.repository, parts, emit) as fetch:
        for version in versions:
            try:
                offer = find(registry, replace(remote, tag=version))
            except IntegrityError as error:
                yield Left(f"{remote.place}:{version}", error, damaged=True)
                continue
            except StoreUnreachable as error:
                if error.code != "not-found":
                    raise
                yield _hidden(remote.place, version)
                continue
            yield _judged(gate, asked, offer, fetch, remote.place)


def _versions(texts: Iterable[str]) -> list[str]:
    """Those of ``texts`` that are versions, lowest first."""
    return [text for _, text in sorted(by_version([(text, text) for text in texts]).items())]


def check_whole(which: Named, tag: str | None, text: str) -> None:
    """UsageError if the reference ``text`` means less than every version."""
    if tag or which != Named():
        raise UsageError(f"{text} names a version, and a catalogue has all of them", help="leave the version out")


def _judged(gate: Gate, asked: Asked, offer: Offer, fetch: Fetch, place: str | None) -> Offered | Left:
    try:
        report = gate.admit(asked, offer.release.version, offer)
    except IntegrityError as error:
        return Left(f"{offer.release.ref} from {offer.where}", error)
    return Offered(offer, report.decision, fetch, place)


def _hidden(place: str, version: str) -> Left:
    error = IntegrityError("the signed index lists it, and it is not there", code="not-found")
    return Left(f"{place} {version}", error)


def _unlisted(place: str) -> IntegrityError:
    return IntegrityError(f"the signed index of {place} does not list it, or has it revoked", code="not-listed")
