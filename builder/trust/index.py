"""The signed index of a repository: which versions there are, with their digests, and until when that holds.

After The Update Framework's timestamp and snapshot roles, in one document (decision 15). ``serial`` only rises, so an
older index shows as older; ``expires`` bounds for how long an old one can be served as the newest.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from builder.digest import Digest, canonical_json, digest_bytes
from builder.errors import IntegrityError, UsageError
from builder.manifest.model import SEMVER
from builder.trust import dsse
from builder.trust.document import Closed, read_document
from builder.trust.keys import PublicKey, SigningKey
from builder.trust.statement import Subject

INDEX_TYPE = "application/vnd.tinsmith.index.v1+json"
"""Of the payload, of the artifact and of its one layer's content, which is an envelope."""

INDEX_TAG = "tinsmith-index"
LIFETIME = datetime.timedelta(days=90)
LONGEST_LIFETIME = datetime.timedelta(days=730)
_LARGEST = 2 << 20
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Time = Annotated[str, StringConstraints(pattern=r"^2[0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$")]
Version = Annotated[str, StringConstraints(pattern=SEMVER, max_length=128)]


class Listed(Closed):
    """``digest`` and ``size`` in bytes are those of the release's OCI manifest."""

    digest: Annotated[Digest, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=1, le=64 << 20)]


class Index(Closed):
    """``revoked`` maps versions that nobody should use any more to why; they stay listed."""

    type: Literal["tinsmith-index"] = "tinsmith-index"
    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", max_length=512)]
    serial: Annotated[int, Field(ge=1, lt=2**53)]
    issued: Time
    expires: Time
    releases: Annotated[dict[Version, Listed], Field(max_length=10_000)]
    revoked: Annotated[
        dict[Version, Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=500)]],
        Field(default_factory=dict, max_length=10_000),
    ]

    @model_validator(mode="after")
    def _sound(self) -> Index:
        if not moment(self.issued) < moment(self.expires):
            raise ValueError("it expires before it is issued")
        if not self.revoked.keys() <= self.releases.keys():
            raise ValueError("it revokes a version that it does not list")
        return self

    @property
    def name(self) -> str:
        """Of the releases in it: the last part of the repository."""
        return self.repository.rpartition("/")[2]

    @property
    def usable(self) -> tuple[str, ...]:
        """The versions that are not revoked, in no order that means anything."""
        return tuple(version for version in self.releases if version not in self.revoked)

    def payload(self) -> bytes:
        return canonical_json(self.model_dump(mode="json", by_alias=True))


@dataclass(frozen=True)
class Signed:
    """An index whose signature was verified. ``digest`` is that of its payload and tells two of one serial apart."""

    index: Index
    digest: Digest
    keys: tuple[PublicKey, ...]


def moment(text: str) -> datetime.datetime:
    """ValueError if ``text`` is no such day and time."""
    return datetime.datetime.strptime(text, _TIME).replace(tzinfo=datetime.UTC)


def written(when: datetime.datetime) -> str:
    return when.astimezone(datetime.UTC).strftime(_TIME)


def open_index(data: bytes, keys: tuple[PublicKey, ...], what: str = "the signed index") -> Signed:
    """The index in the envelope ``data``, signed by one of ``keys`` or more.

    IntegrityError: ``malformed``, ``wrong-type``, ``unsigned`` or ``wrong-key``.
    """
    envelope = dsse.parse(data, what)
    found = dsse.verify(envelope, INDEX_TYPE, keys, 1, what)
    index = read_document(envelope.payload, Index, what, largest=_LARGEST)
    return Signed(index, digest_bytes(envelope.payload), found)


def seal(index: Index, key: SigningKey) -> bytes:
    """The envelope of ``index`` signed by ``key``. IntegrityError (``malformed``) if nobody could read it back."""
    payload = index.payload()
    read_document(payload, Index, f"the index of {index.repository}", largest=_LARGEST)
    return dsse.sign(INDEX_TYPE, payload, [key])


def renewed(
    current: Index | None, repository: str, now: datetime.datetime, lifetime: datetime.timedelta = LIFETIME
) -> Index:
    """``current``, or an empty index, with the next serial and a new expiry. UsageError for an odd lifetime."""
    if not datetime.timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise UsageError(f"an index holds for 1 to {LONGEST_LIFETIME.days} days, not {lifetime.days}")
    if current is not None and moment(current.issued) > now:
        raise IntegrityError(
            f"the index of {repository} was issued at {current.issued}, after this machine's time {written(now)}",
            help="set the clock",
            code="clock",
        )
    return Index(
        repository=repository,
        serial=current.serial + 1 if current else 1,
        issued=written(now),
        expires=written(now + lifetime),
        releases=current.releases if current else {},
        revoked=current.revoked if current else {},
    )


def listing(index: Index, release: Subject, size: int) -> Index:
    """``index`` with ``release`` in it. IntegrityError: ``wrong-name``, or ``immutable`` if its version has another
    digest there."""
    if release.name != index.name:
        raise IntegrityError(
            f"a release called {release.name} does not belong into {index.repository}",
            help=f"push it to a repository called …/{release.name}",
            code="wrong-name",
        )
    known = index.releases.get(release.version)
    if known is not None and known.digest != release.digest:
        raise IntegrityError(
            f"{index.repository} has version {release.version} already, with digest {known.digest}",
            help="a released version never changes: raise 'version' in the manifest",
            code="immutable",
        )
    entry = Listed(digest=release.digest, size=size)
    return index.model_copy(update={"releases": {**index.releases, release.version: entry}})


def revoking(index: Index, version: str, reason: str) -> Index:
    """``index`` with ``version`` revoked. UsageError if it is not listed or there is no reason."""
    if version not in index.releases:
        raise UsageError(
            f"the index of {index.repository} has no version {version}",
            help=f"versions: {', '.join(index.releases) or 'none'}",
        )
    if not reason.strip() or not reason.isprintable() or len(reason) > 500:
        raise UsageError("a revocation needs a reason: one line of text")
    return index.model_copy(update={"revoked": {**index.revoked, version: reason.strip()}})
