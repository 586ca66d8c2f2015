"""Whether a release that somebody offers may be taken: every rule in one place, with no network.

The transport checks that what it fetched has the digest and size it was announced with, and bounds how much and how
long it reads. What the bytes mean is decided here.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from builder.digest import Digest
from builder.errors import IntegrityError
from builder.trust.checks import Check
from builder.trust.index import Index, Signed, open_index
from builder.trust.memory import Memory, Recollection, check_time
from builder.trust.policy import Decision, Origin, Policy, Rule, decide
from builder.trust.statement import Subject


@dataclass(frozen=True)
class Offer:
    """A release as it was fetched.

    ``release``: name and version as its own OCI manifest says, the digest of that OCI manifest's bytes, and its
    ``size``. ``name``: as asked for, the last part of the repository or the name in a layout's tag. ``version``: the
    tag that was asked for, None where a digest was. ``provenances``: the bytes of every signed provenance attached to
    it. ``index``: the envelope found under the index's tag, None if there is none.
    """

    origin: Origin
    release: Subject
    size: int
    name: str
    version: str | None
    provenances: Sequence[bytes] = ()
    index: bytes | None = None

    @property
    def place(self) -> str:
        """What is remembered under: a repository, or one name in a folder."""
        return self.origin.place if self.origin.kind == "registry" else f"{self.origin.place}:{self.name}"


@dataclass(frozen=True)
class Report:
    decision: Decision
    checks: tuple[Check, ...]


def admit(
    policy: Policy, offer: Offer, memory: Memory, now: datetime.datetime, *, allow_unsigned: bool = False
) -> Report:
    """What was checked of ``offer``, all of it well; what was seen is then remembered. ``now`` knows its time zone.

    IntegrityError: those of ``decide``; ``wrong-name`` if the release is not the one asked for; of the index
    ``no-index``, ``wrong-repository``, ``not-listed``, ``mix-and-match`` (another digest than it lists), ``revoked``,
    ``expired``, ``clock``, ``rollback``, ``forked`` and those of ``open_index``; ``moved-tag`` if a version has
    another digest than before. Where a digest was asked for, an index may be missing or expired, and need not list the
    release: the digest says all that it would say, but for a revocation.
    """
    release, origin = offer.release, offer.origin
    _check_name(offer)
    decision = decide(policy, release, origin, offer.provenances, allow_unsigned=allow_unsigned)
    checks = [
        Check("name", True, f"{release.ref} is what was asked for"),
        Check("signature", True if decision.keys else None, decision.text),
    ]
    if origin.kind == "own":
        return Report(decision, tuple(checks))
    rules = policy.covering(release.name, origin)
    with memory.of(offer.place) as known:
        signed = _checked_index(offer, rules, known, now)
        if signed is not None:
            # The publisher did sign it, so it counts from now on, whatever becomes of this release.
            known.keep(known.seen.with_index(signed))
            checks.append(Check("index", True, _told(signed)))
            _check_listed(offer, signed.index)
        else:
            checks.append(Check("index", None, _why_none(offer, rules)))
        known.keep(known.seen.with_versions({release.version: release.digest}))
    checks.append(Check("memory", True, f"nothing seen of {offer.place} before contradicts it"))
    return Report(decision, tuple(checks))


def _check_name(offer: Offer) -> None:
    """That an old or foreign release is not served under the name and tag that were asked for."""
    release = offer.release
    if release.name != offer.name or offer.version not in (None, release.version):
        asked = offer.name if offer.version is None else f"{offer.name}@{offer.version}"
        raise IntegrityError(
            f"{offer.origin.place} answers with {release.ref} when asked for {asked}",
            help="another release lies under this name or tag: tell the publisher",
            code="wrong-name",
        )


def _checked_index(offer: Offer, rules: Sequence[Rule], known: Recollection, now: datetime.datetime) -> Signed | None:
    """The index if there is one that somebody trusted signed; refused if there should be."""
    if not rules:
        return None
    if offer.index is None:
        if offer.version is None:
            return None
        if known.seen.serial or (offer.origin.kind == "registry" and any(rule.index for rule in rules)):
            seen = f", and this machine saw number {known.seen.serial}" if known.seen.serial else ""
            raise IntegrityError(
                f"{offer.place} has no signed index of its versions{seen}",
                help="the publisher makes one with 'tinsmith index renew'; until then: ask for a digest, or set "
                "index = false in the rule",
                code="no-index",
            )
        return None
    what = f"the index of {offer.place}"
    (signed, *_) = [open_index(offer.index, rule.index_keys, what) for rule in rules]
    _check_repository(offer, signed.index)
    known.seen.with_index(signed)
    if offer.version is not None:
        check_time(signed.index, now)
    return signed


def _check_repository(offer: Offer, index: Index) -> None:
    place = offer.origin.place
    if (index.repository != place) if offer.origin.kind == "registry" else (index.name != offer.name):
        raise IntegrityError(
            f"the index in {offer.place} is that of {index.repository}",
            help="if it is a copy: its owner makes an index of its own with 'tinsmith index renew'",
            code="wrong-repository",
        )


def _check_listed(offer: Offer, index: Index) -> None:
    release = offer.release
    listed = index.releases.get(release.version)
    if listed is None:
        if offer.version is None:
            return
        raise IntegrityError(
            f"the index of {offer.place} (number {index.serial}) does not list {release.ref}",
            help=f"it lists: {', '.join(index.releases) or 'nothing'}",
            code="not-listed",
        )
    if (listed.digest, listed.size) != (release.digest, offer.size):
        raise IntegrityError(
            f"{release.ref} in {offer.place} is {_size(release.digest, offer.size)}, but its signed index lists "
            f"{_size(listed.digest, listed.size)}",
            help="the tag points to something else than what was published: tell the publisher",
            code="mix-and-match",
        )
    if release.version in index.revoked:
        raise IntegrityError(
            f"{release.ref} was revoked by its publisher: {index.revoked[release.version]!a}",
            help="use another version",
            code="revoked",
        )


def _size(digest: Digest, size: int) -> str:
    return f"{digest} of {size:,} bytes"


def _told(signed: Signed) -> str:
    index = signed.index
    names = ", ".join(key.id[:12] for key in signed.keys)
    return f"number {index.serial} of {index.repository}, signed by {names}, holds until {index.expires}"


def _why_none(offer: Offer, rules: Sequence[Rule]) -> str:
    if not rules:
        return "no rule says who signs it"
    if offer.version is None:
        return "not needed: a digest was asked for"
    return "there is none, and no rule asks for one"
