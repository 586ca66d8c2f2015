"""A publisher, a release and somebody who wants it, as small as they can be."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.digest import canonical_json, digest_bytes, hex_of
from builder.trust import dsse
from builder.trust.index import Index, listing, renewed, seal
from builder.trust.keys import PublicKey, SigningKey
from builder.trust.policy import Policy, Rule
from builder.trust.statement import PAYLOAD_TYPE, PROVENANCE, STATEMENT, Subject

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
PLACE = "ghcr.io/team/raccoon"
SIZE = 1234


def key(number: int) -> SigningKey:
    return SigningKey.of(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


TEAM, OTHER, STRANGER = key(1), key(2), key(3)


def release(version: str = "1.0.0", content: bytes = b"manifest", name: str = "raccoon") -> Subject:
    return Subject(name, version, digest_bytes(content + version.encode()))


def statement(subject: Subject, predicate_type: str = PROVENANCE) -> bytes:
    return canonical_json(
        {
            "_type": STATEMENT,
            "subject": [{"name": subject.ref, "digest": {"sha256": hex_of(subject.digest)}}],
            "predicateType": predicate_type,
            "predicate": {},
        }
    )


def signed(subject: Subject, *keys: SigningKey, predicate_type: str = PROVENANCE) -> bytes:
    return dsse.sign(PAYLOAD_TYPE, statement(subject, predicate_type), keys or (TEAM,))


def rule(
    names: Iterable[str] = ("raccoon*",),
    registries: Iterable[str] | None = None,
    keys: Iterable[PublicKey] = (TEAM.public,),
    index_keys: Iterable[PublicKey] | None = None,
    threshold: int = 1,
    index: bool = True,
) -> Rule:
    trusted = tuple(keys)
    return Rule(
        "tinsmith.toml",
        tuple(names),
        tuple(registries) if registries is not None else None,
        trusted,
        tuple(index_keys) if index_keys is not None else trusted,
        threshold,
        index,
    )


POLICY = Policy(((rule(),),))


def index_of(
    *releases: Subject, serial: int = 1, repository: str = PLACE, issued: datetime.datetime = NOW, days: int = 90
) -> Index:
    made = renewed(None, repository, issued, days * DAY)
    for item in releases:
        made = listing(made, item, SIZE)
    return made.model_copy(update={"serial": serial})


def sealed(*releases: Subject, by: SigningKey = TEAM, serial: int = 1, days: int = 90) -> bytes:
    return seal(index_of(*releases, serial=serial, days=days), by)


@dataclass
class Shelf:
    """A place for an index, whose writes can be interfered with."""

    repository: str = PLACE
    envelope: bytes | None = None
    interfering: list[bytes] = field(default_factory=list)

    @property
    def place(self) -> str:
        return self.repository

    def read(self) -> bytes | None:
        return self.envelope

    def write(self, envelope: bytes) -> None:
        self.envelope = self.interfering.pop(0) if self.interfering else envelope
