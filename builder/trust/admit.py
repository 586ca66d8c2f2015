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
from builder.trust.memory import Memory, Seen, check_time
from builder.trust.policy import Decision, Origin, Policy, Rule, decide
from builder.trust.statement import Subject


@dataclass(frozen=True)
class Proposal:
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
        return place_of(self.origin, self.name)


def place_of(origin: Origin, name: str) -> str:
    """What is remembered under: a repository, or one name in a folder."""
    return origin.place if origin.kind == "registry" else f"{origin.place}:{name}"


@dataclass(frozen=True)
class Report:
    decision: Decision
    checks: tuple[Check, ...]


def admit(
    policy: Policy, proposal: Proposal, memory: Memory, now: datetime.datetime, *, allow_unsigned: bool = False
) -> Report:
    """What was checked of ``proposal``, all of it well; what was seen is then remembered. ``now`` knows its time zone.

    IntegrityError: those of ``decide``; ``wrong-name`` if the release is not the one asked for; of the index
    ``no-index``, ``wrong-repository``, ``not-listed``, ``mix-and-match`` (another digest than it lists), ``revoked``,
    ``expired``, ``clock``, ``rollback``, ``forked`` and those of ``open_index``; ``moved-tag`` if a version has
    another digest than before. Where a digest was asked for, an index may be missing, broken or expired, and need not
    list the release: the digest says all that it would say, but for a revocation.
    """
    release, origin = proposal.release, proposal.origin
    _check_name(proposal)
    decision = decide(policy, release, origin, proposal.provenances, allow_unsigned=allow_unsigned)
    checks = [
        Check("name", True, f"{release.ref} is what was asked for"),
        Check("signature", True if decision.keys else None, decision.text),
    ]
    if origin.kind == "own":
        return Report(decision, tuple(checks))
    rules = policy.covering(release.name, origin)
    pinned = proposal.version is None
    with memory.of(proposal.place) as known:
        signed = _checked_index(rules, origin, proposal.name, proposal.index, known.seen, now, pinned=pinned)
        if signed is not None:
            # The publisher did sign it, so it counts from now on, whatever becomes of this release.
            known.keep(known.seen.with_index(signed))
            checks.append(Check("index", True, _told(signed)))
            _check_listed(proposal, signed.index)
        else:
            checks.append(Check("index", None, _why_none(proposal, rules)))
        known.keep(known.seen.with_versions({release.version: release.digest}))
    checks.append(Check("memory", True, f"nothing seen of {proposal.place} before contradicts it"))
    return Report(decision, tuple(checks))


def current_index(
    policy: Policy, origin: Origin, name: str, index: bytes | None, memory: Memory, now: datetime.datetime
) -> Index | None:
    """The index of releases called ``name``, checked and remembered as in ``admit``; None if no rule asks for one.

    For whoever chooses a version: the newest one in a range is the newest that the index lists. A list of tags is only
    what the registry says. ``index`` is the envelope found there, None if there is none.
    """
    rules = policy.covering(name, origin)
    with memory.of(place_of(origin, name)) as known:
        signed = _checked_index(rules, origin, name, index, known.seen, now, pinned=False)
        if signed is not None:
            known.keep(known.seen.with_index(signed))
    return signed.index if signed is not None else None


def _check_name(proposal: Proposal) -> None:
    """That an old or foreign release is not served under the name and tag that were asked for."""
    release = proposal.release
    if release.name != proposal.name or proposal.version not in (None, release.version):
        asked = proposal.name if proposal.version is None else f"{proposal.name}@{proposal.version}"
        raise IntegrityError(
            f"{proposal.origin.place} answers with {release.ref} when asked for {asked}",
            help="another release lies under this name or tag: tell the publisher",
            code="wrong-name",
        )


def _checked_index(
    rules: Sequence[Rule],
    origin: Origin,
    name: str,
    data: bytes | None,
    seen: Seen,
    now: datetime.datetime,
    *,
    pinned: bool,
) -> Signed | None:
    """The index if there is one that somebody trusted signed; refused if there should be."""
    if not rules:
        return None
    place = place_of(origin, name)
    if data is None:
        wanted = seen.serial > 0 or (origin.kind == "registry" and any(rule.index for rule in rules))
        if wanted and not pinned:
            before = f", and this machine saw number {seen.serial}" if seen.serial else ""
            raise IntegrityError(
                f"{place} has no signed index of its versions{before}",
                help="the publisher makes one with 'tinsmith index renew'; until then: ask for a digest, or set "
                "index = false in the rule",
                code="no-index",
            )
        return None
    what = f"the index of {place}"
    try:
        (signed, *_) = [open_index(data, rule.index_keys, what) for rule in rules]
        _check_repository(origin, name, signed.index)
    except IntegrityError:
        if pinned:  # one that says nothing is as good as none, which would do
            return None
        raise
    seen.with_index(signed)
    if not pinned:
        check_time(signed.index, now)
    return signed


def _check_repository(origin: Origin, name: str, index: Index) -> None:
    if (index.repository != origin.place) if origin.kind == "registry" else (index.name != name):
        raise IntegrityError(
            f"the index in {origin.place} is that of {index.repository}",
            help="if it is a copy: its owner makes an index of its own with 'tinsmith index renew'",
            code="wrong-repository",
        )


def _check_listed(proposal: Proposal, index: Index) -> None:
    release = proposal.release
    listed = index.releases.get(release.version)
    if listed is None:
        if proposal.version is None:
            return
        raise IntegrityError(
            f"the index of {proposal.place} (number {index.serial}) does not list {release.ref}",
            help=f"it lists: {', '.join(index.releases) or 'nothing'}",
            code="not-listed",
        )
    if (listed.digest, listed.size) != (release.digest, proposal.size):
        raise IntegrityError(
            f"{release.ref} in {proposal.place} is {_size(release.digest, proposal.size)}, but its signed index lists "
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


def _why_none(proposal: Proposal, rules: Sequence[Rule]) -> str:
    if not rules:
        return "no rule says who signs it"
    if proposal.version is None:
        return "there is none to rely on, and none is needed: a digest was asked for"
    return "there is none, and no rule asks for one"
