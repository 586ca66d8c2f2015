"""Provenance beside a release: attached unsigned when it is built without a key, signed then or later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from builder.digest import canonical_json
from builder.errors import IntegrityError, TinsmithError, UsageError
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
    """Did ``key`` sign a provenance of ``release``? What cannot be read, or is about another release, is none."""
    what = f"a provenance of {release.ref}"
    for data in signed_provenances(layout, release):
        try:
            envelope = dsse.parse(data, what)
            dsse.verify(envelope, PAYLOAD_TYPE, [key], 1, what)
            check_subject(parse_provenance(envelope.payload, what), subject_of(release), what)
        except IntegrityError:
            continue
        return True
    return False


def sign_release(
    layout: Layout,
    release: Release,
    key: SigningKey,
    agrees: Callable[[bytes], None],
    trusted: Sequence[PublicKey] = (),
) -> Attachment:
    """Signs the provenance of ``release`` by ``key``, beside the signatures of ``trusted`` keys that it has.

    Anybody who can attach to a release can put a provenance there. So only one is signed that ``agrees`` lets pass
    (it raises IntegrityError): see ``builder.rebuild.agreement``. Of several, one that ``key`` signed comes first,
    then one that ``trusted`` keys did.

    UsageError: ``no-provenance`` if the release has none, ``ambiguous`` if nothing says which of several is meant.
    IntegrityError if a file of the release is not as its digest says, or no provenance agrees.
    """
    failed = [check for check in check_content(layout, release) if check.name == "files" and check.ok is False]
    if failed:
        raise IntegrityError(
            f"{release.ref} is not signed: {failed[0].name}: {failed[0].detail}",
            help="build it again, or get it again from where it came from",
        )
    payload, others = _to_sign(layout, release, key.public, agrees, trusted)
    envelope = dsse.sign(PAYLOAD_TYPE, payload, [key], others)
    return layout.attach(release, SIGNED_PROVENANCE, SIGNED_TITLE, envelope)


def _to_sign(
    layout: Layout,
    release: Release,
    own: PublicKey,
    agrees: Callable[[bytes], None],
    trusted: Sequence[PublicKey],
) -> tuple[bytes, tuple[dsse.Signature, ...]]:
    """The provenance that is meant, and the signatures of it that are somebody's, one a key."""
    signed: dict[bytes, dict[str, dsse.Signature]] = {}
    refusals: list[IntegrityError] = []
    for payload, signatures in _statements(layout, release, refusals):
        if payload not in signed:
            try:
                agrees(payload)
            except IntegrityError as error:
                refusals.append(error)
                continue
        known = signed.setdefault(payload, {})
        for item in signatures:
            for signer in dsse.signers(dsse.Envelope(PAYLOAD_TYPE, payload, (item,)), (own, *trusted)):
                known.setdefault(signer.id, item)
    if not signed:
        raise _nothing_to_sign(release, refusals)
    ours = sorted(payload for payload, known in signed.items() if own.id in known)[:1]
    meant = ours or [payload for payload, known in signed.items() if known] or list(signed)
    if len(meant) > 1:
        raise UsageError(
            f"{release.ref} has {len(meant)} provenances that differ, and no trusted signature says which is true",
            help="build it again in an empty folder, with --releases FOLDER --key FILE, and go on with that one",
            code="ambiguous",
        )
    room = dsse.MOST_SIGNATURES - 1
    known = signed[meant[0]]
    others = [item for signer, item in known.items() if signer != own.id][:room]
    return meant[0], tuple(others)


def _statements(
    layout: Layout, release: Release, refusals: list[IntegrityError]
) -> Iterator[tuple[bytes, tuple[dsse.Signature, ...]]]:
    """Payloads with signatures of which nothing is verified. Why an envelope was left out is added to ``refusals``."""
    what = f"the provenance of {release.ref}"
    for data in signed_provenances(layout, release):
        try:
            envelope = dsse.parse(data, what)
        except IntegrityError as error:
            refusals.append(error)
        else:
            if envelope.payload_type == PAYLOAD_TYPE:
                yield envelope.payload, envelope.signatures
    for payload in unsigned_provenances(layout, release):
        yield payload, ()


def _nothing_to_sign(release: Release, refusals: Sequence[IntegrityError]) -> TinsmithError:
    """Statements of other types, such as a rebuild's, are no provenance that could be wrong."""
    wrong = [error for error in refusals if error.code != "wrong-type"]
    if wrong:
        return IntegrityError(
            f"{release.ref} is not signed: {wrong[0].message}", help=wrong[0].help, code=wrong[0].code
        )
    return UsageError(
        f"{release.ref} has no provenance to sign",
        help="it is attached when a release is built: build it again, or get the release with what is attached to it",
        code="no-provenance",
    )
