"""in-toto statements: what a signature is about.

Source: in-toto Attestation Framework, Statement v1 and ResourceDescriptor v1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from builder.digest import Digest, hex_of
from builder.errors import IntegrityError
from builder.trust.document import Open, read_document

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""Of a statement inside an envelope; also the artifact type of one that nobody signed yet."""

SIGNED_PROVENANCE = "application/vnd.in-toto.provenance+dsse"
"""The artifact type of an envelope with a provenance."""


@dataclass(frozen=True)
class Subject:
    """A release as signatures and indexes know it; ``digest`` is that of its OCI manifest."""

    name: str
    version: str
    digest: Digest

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"


class _Described(Open):
    name: str = ""
    digest: Annotated[dict[str, str], Field(default_factory=dict)]


class Statement(Open):
    """``subject`` is what the ``predicate`` is true of."""

    type: Annotated[str, Field(alias="_type", max_length=256)]
    subject: Annotated[list[_Described], Field(min_length=1, max_length=10_000)]
    predicate_type: Annotated[str, Field(alias="predicateType", max_length=256)]
    predicate: dict[str, Any]

    def files(self) -> dict[str, str]:
        """Names of all subjects -> their SHA-256 in hex, or nothing for those with another digest."""
        return {item.name: item.digest.get("sha256", "") for item in self.subject}


def parse_provenance(payload: bytes, what: str) -> Statement:
    """The SLSA provenance in ``payload``. IntegrityError: ``malformed``, or ``wrong-type`` for another statement."""
    statement = read_document(payload, Statement, what)
    if (statement.type, statement.predicate_type) != (STATEMENT, PROVENANCE):
        raise IntegrityError(
            f"{what} states {statement.predicate_type!a}, not a provenance ({PROVENANCE})",
            help="something else was put in its place: tell the publisher",
            code="wrong-type",
        )
    return statement


def check_subject(statement: Statement, release: Subject, what: str) -> None:
    """IntegrityError (``wrong-subject``) unless ``statement`` is about ``release``, by name, version and digest."""
    named = {(item.name, item.digest.get("sha256")) for item in statement.subject}
    if (release.ref, hex_of(release.digest)) not in named:
        first = statement.subject[0]
        raise IntegrityError(
            f"{what} is about {first.name[:80]!a}, not about {release.ref} {release.digest}",
            help="a signature of another release was put beside this one: do not use it",
            code="wrong-subject",
        )
