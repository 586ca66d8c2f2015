"""What is attached to a release: how fast it ran and where, who built it from what, and whether a second build agreed.

Nobody has to sign attachments, and anybody who can write to a registry can add one. So what cannot be read is passed
over with a note; and where the policy wanted a signature, only a provenance under one counts, and only the run.json
that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, JsonValue, ValidationError

from builder.catalogue.facts import Text
from builder.digest import hex_of
from builder.errors import IntegrityError
from builder.rebuild.record import RECORD_FILE, record_of
from builder.registry.offer import Offer
from builder.release.attached import subject_of
from builder.release.make import RUN_TYPE
from builder.report.formats import Latency, Run, parse
from builder.trust import dsse
from builder.trust.document import Open, malformed
from builder.trust.policy import Decision
from builder.trust.statement import PAYLOAD_TYPE, SIGNED_PROVENANCE, Statement, check_subject, parse_provenance

_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,15}Z$"


class _DigestSet(Open):
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class _Thing(Open):
    name: Text = ""
    uri: Text = ""
    digest: _DigestSet = _DigestSet()


class _Parameters(Open):
    manifest: Annotated[dict[str, JsonValue], Field(default_factory=dict)]


class _Definition(Open):
    external: Annotated[
        _Parameters, Field(alias="externalParameters", default_factory=lambda: _Parameters(manifest={}))
    ]
    resolved: Annotated[list[_Thing], Field(alias="resolvedDependencies", default_factory=list, max_length=10_000)]


class _Builder(Open):
    id: Text
    version: Annotated[dict[Text, Text], Field(default_factory=dict, max_length=16)]


class _Times(Open):
    finished: Annotated[str, Field(alias="finishedOn", pattern=_TIME)]


class _Details(Open):
    builder: _Builder
    metadata: _Times
    byproducts: Annotated[list[_Thing], Field(default_factory=list, max_length=1000)]


class _Predicate(Open):
    definition: Annotated[_Definition, Field(alias="buildDefinition")]
    details: Annotated[_Details, Field(alias="runDetails")]


@dataclass(frozen=True)
class Provenance:
    """``finished`` is a day and time in UTC (RFC 3339); ``images`` the base images, from a toolchain's name to its
    image's digest; ``runs`` the digests of the run.json that belong to it; ``manifest`` what was built."""

    builder: str
    tinsmith: str
    finished: str
    images: tuple[tuple[str, str], ...]
    runs: tuple[str, ...]
    manifest: Mapping[str, JsonValue]


@dataclass(frozen=True)
class Background:
    """``twice``: what second builds found, in words. ``notes``: what was passed over, and why."""

    latency: Latency | None = None
    provenance: Provenance | None = None
    twice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def background_of(offer: Offer, decision: Decision) -> Background:
    """What the attachments of ``offer``, which ``decision`` let in, say of it."""
    notes: list[str] = []
    provenances = list(_provenances(offer, decision, notes))
    named = {digest for each in provenances for digest in each.runs}
    return Background(
        latency=_latency(offer, named if provenances or decision.keys else None, notes),
        provenance=provenances[0] if provenances else None,
        twice=tuple(dict.fromkeys(_twice(offer, decision, notes))),
        notes=tuple(notes),
    )


def _provenances(offer: Offer, decision: Decision, notes: list[str]) -> Iterator[Provenance]:
    """Those that a trusted key signed, if the release had to be signed; else all."""
    subject = subject_of(offer.release)
    for kind, data in _of_types(offer, SIGNED_PROVENANCE, PAYLOAD_TYPE):
        what = f"a provenance of {subject.ref}"
        try:
            payload = data
            if kind == SIGNED_PROVENANCE:
                envelope = dsse.parse(data, what)
                if decision.keys and not dsse.signers(envelope, decision.keys):
                    continue
                payload = envelope.payload
            elif decision.keys:
                continue
            statement = parse_provenance(payload, what)
            check_subject(statement, subject, what)
            yield _read(statement, what)
        except IntegrityError as error:
            if error.code != "wrong-type":  # a statement of something else, such as a second build
                notes.append(error.message)


def _read(statement: Statement, what: str) -> Provenance:
    try:
        predicate = _Predicate.model_validate(statement.predicate)
    except ValidationError as error:
        raise malformed(what, str(error.errors(include_url=False)[0]["msg"])[:200]) from error
    images = (
        (thing.name.split("/")[1], f"sha256:{thing.digest.sha256}")
        for thing in predicate.definition.resolved
        if thing.name.startswith("toolchains/") and thing.name.endswith("/image") and thing.digest.sha256
    )
    details = predicate.details
    return Provenance(
        builder=details.builder.id,
        tinsmith=details.builder.version.get("tinsmith", ""),
        finished=details.metadata.finished,
        images=tuple(sorted(images)),
        runs=tuple(thing.digest.sha256 for thing in details.byproducts if thing.digest.sha256),
        manifest=predicate.definition.external.manifest,
    )


def _latency(offer: Offer, named: set[str] | None, notes: list[str]) -> Latency | None:
    """Of the first run.json that is sound; only of those ``named``, if that is said."""
    for item in offer.attached:
        attachment = item.attachment
        if attachment.artifact_type != RUN_TYPE or (named is not None and hex_of(attachment.digest) not in named):
            continue
        try:
            return parse(Run, item.data, f"{attachment.title} of {offer.release.ref}").latency
        except IntegrityError as error:
            notes.append(error.message)
    return None


def _twice(offer: Offer, decision: Decision, notes: list[str]) -> Iterator[str]:
    for item in offer.attached:
        if item.attachment.title != RECORD_FILE:
            continue
        try:
            record = record_of(item.attachment.artifact_type, item.data, offer.release, decision.keys)
        except IntegrityError as error:
            notes.append(error.message)
            continue
        if record is not None:
            yield f"{record}, {record.source}"


def _of_types(offer: Offer, *types: str) -> Sequence[tuple[str, bytes]]:
    """(type, bytes) of the attachments of ``types``, those of the first type first."""
    found = [(item.attachment.artifact_type, item.data) for item in offer.attached]
    return [pair for kind in types for pair in found if pair[0] == kind]
