"""Writing the signed index of a repository, wherever it lies: read, check, change, sign, write, look again.

Registries cannot replace a tag only if nobody else did meanwhile. So what was written is read back: a publisher that
was overtaken starts again from what the other one wrote.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Protocol

from builder.errors import IntegrityError
from builder.trust.index import LIFETIME, Index, Signed, open_index, renewed, seal
from builder.trust.keys import PublicKey, SigningKey
from builder.trust.memory import Memory, Seen, has_expired

_ATTEMPTS = 3


class IndexPlace(Protocol):
    """Where one index lies: a tag of a registry's repository, or of a layout.

    ``repository`` is host/path in a registry, a release's name in a layout; ``place`` is what it is remembered under.
    """

    @property
    def repository(self) -> str: ...

    @property
    def place(self) -> str: ...

    def read(self) -> bytes | None:
        """The envelope there, None if there is none."""

    def write(self, envelope: bytes) -> None:
        """Replaces the envelope there."""


def publish(
    where: IndexPlace,
    change: Callable[[Index], Index],
    key: SigningKey,
    trusted: Sequence[Sequence[PublicKey]],
    memory: Memory,
    now: datetime.datetime,
    *,
    lifetime: datetime.timedelta = LIFETIME,
    at_least: int = 0,
    expired: bool = False,
) -> Index:
    """Applies ``change`` to the index there, made if there is none, and signs it by ``key``. The index as written.

    What lies there is believed only if ``key``, or a key of each group of ``trusted``, signed it, it has not expired
    (unless an ``expired`` one will do) and this machine saw nothing newer: else somebody could have a publisher sign
    versions that are not theirs. A machine that remembers nothing is told the number that is ``at_least`` there.
    IntegrityError as for ``current_index``, ``Seen.with_index`` and ``change``; ``expired``; ``rollback`` and
    ``no-index`` if what is there is less than what was seen or told; ``overtaken`` if others keep writing.
    """
    groups = [(key.public, *group) for group in trusted] or [(key.public,)]
    for _ in range(_ATTEMPTS):
        with memory.of(where.place) as known:
            current = current_index(where, groups)
            least = max(at_least, known.seen.serial)
            if current is not None:
                _check_current(current, known.seen, now, at_least, expired=expired)
            elif least:
                raise IntegrityError(
                    f"{where.place} has no signed index, but there was number {least}",
                    help="somebody removed it: find out why before you publish there again",
                    code="no-index",
                )
            index = change(renewed(current.index if current else None, where.repository, now, lifetime))
            envelope = seal(index, key)
            where.write(envelope)
            if where.read() == envelope:
                known.keep(known.seen.with_index(open_index(envelope, (key.public,))))
                return index
    raise IntegrityError(
        f"the index of {where.place} was replaced by another publisher, {_ATTEMPTS} times",
        help="run the command again",
        code="overtaken",
    )


def current_index(where: IndexPlace, groups: Sequence[tuple[PublicKey, ...]]) -> Signed | None:
    """The index there, None if there is none. Whether it is the newest is not known yet.

    IntegrityError as for ``open_index`` if no key of one of ``groups`` (one at least) signed it; ``wrong-repository``.
    """
    data = where.read()
    if data is None:
        return None
    (signed, *_) = [open_index(data, group, f"the index of {where.place}") for group in groups]
    if signed.index.repository != where.repository:
        raise IntegrityError(
            f"the index in {where.place} is that of {signed.index.repository}",
            help="remove its tag there, and make one with 'tinsmith index renew'",
            code="wrong-repository",
        )
    return signed


def _check_current(current: Signed, seen: Seen, now: datetime.datetime, at_least: int, *, expired: bool) -> None:
    """That it may be the newest one, as far as this machine can know."""
    index = current.index
    seen.with_index(current)
    if index.serial < at_least:
        raise IntegrityError(
            f"{seen.place} shows its index number {index.serial}, and number {at_least} is the least there may be",
            help="an old index is being served: find out why before you publish there again",
            code="rollback",
        )
    if not expired and has_expired(index, now):
        raise IntegrityError(
            f"the index of {index.repository} held until {index.expires}: newer ones may be kept from you",
            help="look at what it lists, 'tinsmith index show', and if it is the newest: 'tinsmith index renew'",
            code="expired",
        )
