"""What this machine has seen of each repository, so that it notices when it is shown something older or other.

One JSON file a repository in ``trust/`` of the state folder, replaced at once under a lock.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from builder.digest import Digest, canonical_json
from builder.errors import IntegrityError, StoreUnreachable
from builder.trust.document import Closed, malformed, read_document
from builder.trust.index import Index, Signed, moment
from builder.whole import write_whole

_SKEW = datetime.timedelta(days=1)
"""How far a publisher's clock may be ahead of this machine's."""

Sha256 = Annotated[Digest, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Seen(Closed):
    """``serial`` and ``index`` (the payload's digest) are those of the newest index, ``versions`` all digests seen."""

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    place: Annotated[str, StringConstraints(max_length=10_000)]
    serial: Annotated[int, Field(ge=0, lt=2**53)] = 0
    index: Sha256 | None = None
    versions: Annotated[dict[Annotated[str, StringConstraints(max_length=128)], Sha256], Field(default_factory=dict)]

    def with_versions(self, versions: Mapping[str, Digest]) -> Seen:
        """IntegrityError (``moved-tag``) if one of ``versions`` had another digest when it was last seen."""
        for version, digest in versions.items():
            known = self.versions.get(version, digest)
            if known != digest:
                raise IntegrityError(
                    f"version {version} of {self.place} was {known} when this machine last saw it, and is {digest} now",
                    help="a released version never changes: ask the publisher, and do not use it until you know",
                    code="moved-tag",
                )
        return self.model_copy(update={"versions": {**self.versions, **versions}})

    def with_index(self, signed: Signed) -> Seen:
        """IntegrityError: ``rollback`` if an index of a higher serial was seen, ``forked`` if another one of the same
        serial was, ``moved-tag`` as above."""
        index = signed.index
        if index.serial < self.serial:
            raise IntegrityError(
                f"{self.place} shows its index number {index.serial}, but number {self.serial} was seen before",
                help="an old index is being served: try again later, and tell the publisher",
                code="rollback",
            )
        if index.serial == self.serial and signed.digest != self.index:
            raise IntegrityError(
                f"{self.place} shows another index number {index.serial} than it did before",
                help="two publishers may have written at once: a renewal mends that, 'tinsmith index renew'",
                code="forked",
            )
        seen = self.with_versions({version: listed.digest for version, listed in index.releases.items()})
        return seen.model_copy(update={"serial": index.serial, "index": signed.digest})


def has_expired(index: Index, now: datetime.datetime) -> bool:
    return now >= moment(index.expires)


def check_time(index: Index, now: datetime.datetime) -> None:
    """IntegrityError: ``expired``, or ``clock`` if the index is from more than a day ahead."""
    if has_expired(index, now):
        raise IntegrityError(
            f"the index of {index.repository} held until {index.expires}: newer ones may be kept from you",
            help="the publisher renews it with 'tinsmith index renew'; a release can still be had by its digest",
            code="expired",
        )
    if moment(index.issued) > now + _SKEW:
        raise IntegrityError(
            f"the index of {index.repository} is dated {index.issued}, which is in the future", help="set the clock",
            code="clock",
        )  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """``folder`` is made on first use. See ``builder.settings.state_folder``."""

    folder: Path

    @contextmanager
    def of(self, place: str) -> Iterator[Recollection]:
        """What was seen of ``place``, with nobody else at it meanwhile.

        StoreUnreachable if the folder cannot be used, IntegrityError if what lies there cannot be read.
        """
        path = self.folder / "trust" / f"{hashlib.sha256(place.encode()).hexdigest()[:32]}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.with_suffix(".lock").open("w")
        except OSError as error:
            raise StoreUnreachable(
                f"what was seen of registries cannot be kept in {self.folder}: {error.strerror}",
                help="choose another folder with TINSMITH_STATE",
            ) from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield Recollection(path, _read(path, place))


@dataclass
class Recollection:
    """What was seen of one place; ``keep`` replaces it."""

    path: Path
    seen: Seen

    def keep(self, seen: Seen) -> None:
        if seen == self.seen:
            return
        write_whole(self.path, canonical_json(seen.model_dump(mode="json", by_alias=True)), 0o600)
        self.seen = seen


def _read(path: Path, place: str) -> Seen:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Seen(place=place, versions={})
    try:
        seen = read_document(data, Seen, str(path), largest=8 << 20)
    except IntegrityError as error:
        error.help = f"it says what this machine saw of {place}; without it older releases would not be noticed"
        raise
    if seen.place != place:
        raise malformed(str(path), f"it is about {seen.place!a}, not about {place}")
    return seen
