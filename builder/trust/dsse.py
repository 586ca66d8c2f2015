"""Dead Simple Signing Envelope, version 1: a payload, its type and signatures over both.

Source: the DSSE specification 1.0 (protocol.md, envelope.md). A signature is over ``pae(type, payload)``, never over
JSON, so nothing has to be parsed before it is known to be signed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from builder.digest import canonical_json
from builder.errors import IntegrityError
from builder.trust.document import LARGEST, Open, malformed, read_document
from builder.trust.keys import PublicKey, SigningKey

MOST_SIGNATURES = 16
_LARGEST = 2 * LARGEST
"""Bytes of an envelope: base64 makes its payload longer by a third."""


@dataclass(frozen=True)
class Signature:
    """``key_id`` is a hint that nobody signed; which key it was shows only in verifying."""

    key_id: str
    signature: bytes


@dataclass(frozen=True)
class Envelope:
    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


class _WrittenSignature(Open):
    sig: Annotated[str, Field(max_length=1024)]
    keyid: Annotated[str, Field(max_length=256)] | None = None


class _Written(Open):
    payload: str
    payloadType: Annotated[str, Field(max_length=256)]
    signatures: Annotated[list[_WrittenSignature], Field(max_length=MOST_SIGNATURES)]


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: both parts with their lengths, so that no two pairs give the same bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, keys: Iterable[SigningKey], others: Iterable[Signature] = ()) -> bytes:
    """The envelope of ``payload`` signed by ``keys``, with the signatures of ``others`` before theirs.

    A signature of the same bytes is not added twice. The same arguments give the same bytes.
    """
    message = pae(payload_type, payload)
    made = [Signature(key.public.id, key.sign(message)) for key in keys]
    known = tuple(others)
    fresh = [item for item in made if item.signature not in {old.signature for old in known}]
    document = {
        "payload": _base64(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": item.key_id, "sig": _base64(item.signature)} for item in (*known, *fresh)],
    }
    return canonical_json(document)


def parse(data: bytes, what: str = "a signature envelope") -> Envelope:
    """The envelope in ``data``, of which nothing is verified. IntegrityError (``malformed``) if it is none."""
    written = read_document(data, _Written, what, largest=_LARGEST)
    return Envelope(
        written.payloadType,
        _bytes(written.payload, what),
        tuple(Signature(item.keyid or "", _bytes(item.sig, what)) for item in written.signatures),
    )


def signers(envelope: Envelope, keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """Which of ``keys`` signed ``envelope``, each once however many signatures it gave."""
    message = pae(envelope.payload_type, envelope.payload)
    signatures = {item.signature for item in envelope.signatures}
    once = {key.id: key for key in keys}.values()
    return tuple(key for key in once if any(key.verifies(signature, message) for signature in signatures))


def verify(
    envelope: Envelope, payload_type: str, keys: Sequence[PublicKey], threshold: int, what: str
) -> tuple[PublicKey, ...]:
    """The keys that signed, at least ``threshold`` of ``keys``. Only then may the payload be read.

    IntegrityError: ``wrong-type`` if the payload is of another type, ``unsigned`` if there is no signature at all,
    ``wrong-key`` if too few are of ``keys``.
    """
    if envelope.payload_type != payload_type:
        raise IntegrityError(
            f"{what} is of type {envelope.payload_type!a}, not {payload_type}",
            help="something else was put in its place: tell the publisher",
            code="wrong-type",
        )
    if not envelope.signatures:
        raise IntegrityError(
            f"{what} is not signed",
            help="the publisher signs it: tinsmith sign, or tinsmith index renew",
            code="unsigned",
        )
    found = signers(envelope, keys)
    if len(found) < threshold:
        raise too_few(what, found, keys, threshold, envelope.signatures)
    return found


def too_few(
    what: str,
    found: Sequence[PublicKey],
    keys: Sequence[PublicKey],
    threshold: int,
    signatures: Iterable[Signature],
) -> IntegrityError:
    """The refusal (``wrong-key``) that says who signed and who should have."""
    claimed = sorted({item.key_id for item in signatures})
    named = ", ".join(f"{key_id[:12]!a}" for key_id in claimed[:5])
    trusted = ", ".join(key.id[:12] for key in keys[:5])
    return IntegrityError(
        f"{what} has signatures of {len(found)} of the trusted keys ({trusted}), {threshold} needed; "
        f"signed by what calls itself {named or 'nobody'}",
        help="if the publisher changed keys, get the new public key from them and put it into [[trust]] keys",
        code="wrong-key",
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str, what: str) -> bytes:
    """Standard or URL-safe base64: the specification allows both."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed(what, "it holds text that is not base64") from error
