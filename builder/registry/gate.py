"""What stands between a release that somebody offers and this machine: the trust policy, asked about an offer."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from builder.errors import IntegrityError
from builder.registry.offer import Offer
from builder.release.attached import subject_of
from builder.trust.admit import Proposal, Report, admit, current_index
from builder.trust.memory import Memory
from builder.trust.policy import Origin, Policy
from builder.trust.publish import IndexPlace
from builder.trust.statement import SIGNED_PROVENANCE


@dataclass(frozen=True)
class Asked:
    """What a user asked for: releases called ``name`` from ``origin``; ``index`` is the envelope there, if any."""

    origin: Origin
    name: str
    index: bytes | None


@dataclass(frozen=True)
class Gate:
    """``policy`` and ``memory`` are the user's; ``now`` knows its time zone. See ``builder.trust.admit``."""

    policy: Policy
    memory: Memory
    now: datetime.datetime
    allow_unsigned: bool = False

    def usable(self, asked: Asked) -> tuple[str, ...] | None:
        """The versions that the signed index lists and nobody revoked; None where no rule asks for an index.

        A registry's own list of tags can hide a newer version; the index cannot. Errors as for ``current_index``.
        """
        if asked.origin.kind == "own":
            return None
        index = current_index(self.policy, asked.origin, asked.name, asked.index, self.memory, self.now)
        return index.usable if index is not None else None

    def admit(self, asked: Asked, version: str | None, offer: Offer) -> Report:
        """IntegrityError (exit 7) if ``offer`` is not to be taken; ``version`` as asked for, None for a digest."""
        proposal = Proposal(
            origin=asked.origin,
            release=subject_of(offer.release),
            size=offer.release.size,
            name=asked.name,
            version=version,
            provenances=[
                item.data for item in offer.attached if item.attachment.artifact_type == SIGNED_PROVENANCE
            ],
            index=asked.index,
        )  # fmt: skip
        return admit(self.policy, proposal, self.memory, self.now, allow_unsigned=self.allow_unsigned)


def index_in(place: IndexPlace, needed: bool) -> bytes | None:
    """The envelope in ``place``. One that cannot be read is as good as none where it is not ``needed``: where a digest
    was asked for, or no rule is about the release. Errors of the network are errors all the same."""
    try:
        return place.read()
    except IntegrityError:
        if needed:
            raise
        return None


def in_words(report: Report) -> Iterator[str]:
    """One line a check, for the user."""
    for check in report.checks:
        yield f"{check.name}: {check.detail}"
