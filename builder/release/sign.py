"""Provenance beside a release: attached unsigned when it is built without a key, signed then or later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.digest import canonical_json
from builder.errors import IntegrityError, UsageError
from builder.release.attached import signed_provenances, subject_of, unsigned_provenances
from builder.release.layout import Layout
from builder.release.release import Attachment, Release
from builder.release.verify import check_content
from builder.trust import dsse
from builder.trust.keys import PublicKey, SigningKey
from builder.trust.statement import PAYLOAD_TYPE, SIGNED_PROVENANCE, check_subject, parse_provenance

TITLE = "provenance.json"
SIGNED_TITLE = "provenance.dsse.json"


def attach_provenance(
    layout: Layout, release: Release, statement: Mapping[str, Any], key: SigningKey | None
) -> Attachment:
    """Attaches ``statement`` to ``release``: in an envelope signed by ``key``, or as it is if there is none.

    IntegrityError if it is about another release.
    """
    payload = canonical_json(statement)
    check_subject(parse_provenance(payload, TITLE), subject_of(release), TITLE)
    if key is None:
        return layout.attach(release, PAYLOAD_TYPE, TITLE, payload)
    return layout.attach(release, SIGNED_PROVENANCE, SIGNED_TITLE, dsse.sign(PAYLOAD_TYPE, payload, [key]))


def is_signed(layout: Layout, release: Release, key: PublicKey) -> bool:
    """Did ``key`` sign a provenance of ``release``? IntegrityError for an envelope that cannot be read."""
    what = f"the provenance of {release.ref}"
    return any(dsse.signers(dsse.parse(data, what), [key]) for data in signed_provenances(layout, release))


def sign_release(layout: Layout, release: Release, key: SigningKey) -> Attachment:
    """Signs the provenance of ``release`` by ``key``, beside the signatures that it has. Twice is as good as once.

    UsageError (``no-provenance``) if the release has none. IntegrityError if a file of the release is not as its
    digest says, or a provenance is not about it: nobody should vouch for that.
    """
    failed = [check for check in check_content(layout, release) if check.ok is False]
    if failed:
        raise IntegrityError(
            f"{release.ref} is not signed: {failed[0].name}: {failed[0].detail}",
            help="build it again, or get it again from where it came from",
        )
    payload, others = _to_sign(layout, release)
    envelope = dsse.sign(PAYLOAD_TYPE, payload, [key], others)
    return layout.attach(release, SIGNED_PROVENANCE, SIGNED_TITLE, envelope)


def _to_sign(layout: Layout, release: Release) -> tuple[bytes, tuple[dsse.Signature, ...]]:
    """A provenance and the signatures that it has. What others signed comes first, so that signatures add up."""
    what = f"the provenance of {release.ref}"
    signed: dict[bytes, dict[bytes, dsse.Signature]] = {}
    for data in signed_provenances(layout, release):
        envelope = dsse.parse(data, what)
        known = signed.setdefault(envelope.payload, {})
        known.update((item.signature, item) for item in envelope.signatures)
    if signed:
        payload, signatures = max(signed.items(), key=lambda item: (len(item[1]), item[0]))
        return payload, tuple(signatures.values())
    for payload in unsigned_provenances(layout, release):
        try:
            parse_provenance(payload, what)
        except IntegrityError as error:
            if error.code != "wrong-type":
                raise
        else:
            return payload, ()
    raise UsageError(
        f"{release.ref} has no provenance to sign",
        help="it is attached when a release is built: build it again, or get the release with what is attached to it",
        code="no-provenance",
    )
