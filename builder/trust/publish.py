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
from builder.trust.memory import Memory

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
    trusted: Sequence[PublicKey],
    memory: Memory,
    now: datetime.datetime,
    *,
    lifetime: datetime.timedelta = LIFETIME,
) -> Index:
    """Applies ``change`` to the index there, made if there is none, and signs it by ``key``. The index as written.

    What lies there is believed only if ``key`` or one of ``trusted`` signed it and this machine saw nothing newer:
    else somebody could have a publisher sign versions that are not theirs. IntegrityError as for ``open_index``,
    ``Seen.with_index`` and ``change``; ``no-index`` if one was seen there before; ``overtaken`` if others keep writing.
    """
    keys = (key.public, *trusted)
    for _ in range(_ATTEMPTS):
        with memory.of(where.place) as known:
            current = _current(where, keys)
            if current is not None:
                known.seen.with_index(current)
            elif known.seen.serial:
                raise IntegrityError(
                    f"{where.place} has no signed index, but this machine saw number {known.seen.serial}",
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


def _current(where: IndexPlace, keys: tuple[PublicKey, ...]) -> Signed | None:
    data = where.read()
    if data is None:
        return None
    signed = open_index(data, keys, f"the index of {where.place}")
    if signed.index.repository != where.repository:
        raise IntegrityError(
            f"the index in {where.place} is that of {signed.index.repository}",
            help="remove its tag there, and make one with 'tinsmith index renew'",
            code="wrong-repository",
        )
    return signed
