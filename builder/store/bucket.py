"""Objects by name, in whatever obstore reaches: with patience while it is away, and every error in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    PreconditionError,
)
from obstore.store import LocalStore

from builder.errors import IntegrityError, TinsmithError
from builder.store.away import Waiting, is_final, reason, unreachable
from builder.store.temporary import only_one

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore as Opened

T = TypeVar("T")

PART = 5 << 20
"""Bytes that travel in one request; what is larger goes in parts."""
_MOST_PARTS = 9_000
_AT_ONCE = 2
_BLOCK = 1 << 20


class TooLarge(ValueError):
    """The object has more bytes than asked for."""


@dataclass(frozen=True)
class Meta:
    """``tag``: what another object of the same name would not have."""

    size: int
    tag: str | None


@dataclass(frozen=True)
class Seen:
    """An object as it was read: to be replaced only while it is still that one."""

    data: bytes
    tag: str | None


@dataclass(frozen=True)
class Listed:
    name: str
    size: int
    written: datetime


class Bucket:
    """``address`` is what messages call it. ``patience``: seconds without any progress, then StoreUnreachable.

    Every method raises that one also for refused credentials, a missing bucket or a full disk, at once.
    """

    def __init__(self, opened: Opened, address: str, patience: float) -> None:
        self._opened = opened
        self.address = address
        self._patience = patience

    def get(self, name: str, most: int | None = None) -> Seen | None:
        """None if there is no such object. TooLarge if it has more than ``most`` bytes."""

        def get() -> Seen:
            found = obstore.get(self._opened, name)
            if most is not None and found.meta["size"] > most:
                raise TooLarge(f"it has {found.meta['size']:,} bytes")
            return Seen(bytes(found.bytes()), found.meta["e_tag"])

        return self._or_none(get)

    def read(self, name: str, begin: Callable[[], Callable[[memoryview], object]]) -> Meta | None:
        """Streams the object to what ``begin`` returns; it is called once more if the object is begun again.

        None if there is no such object.
        """

        def read() -> Meta:
            found = obstore.get(self._opened, name)
            take = begin()
            for block in found.stream(_BLOCK):
                take(memoryview(block))
                waiting.progress()
            return _meta(found.meta)

        waiting = Waiting(self._patience)
        return self._or_none(read, waiting)

    def head(self, name: str) -> Meta | None:
        return self._or_none(lambda: _meta(obstore.head(self._opened, name)))

    def create(self, name: str, data: bytes) -> bool:
        """Whether the object is now there with ``data``; False if there was one before."""
        try:
            self._call(lambda: obstore.put(self._opened, name, data, mode="create"))
        except AlreadyExistsError:
            return False
        return True

    def replace(self, name: str, data: bytes, seen: Seen) -> bool:
        """Puts ``data`` in place of what was ``seen``; False if there is something else by now, or nothing."""
        if isinstance(self._opened, LocalStore) and self._opened.prefix is not None:
            # It knows no writes on condition. The object is there all the time, so that nobody creates it meanwhile.
            with only_one(self._opened.prefix / "lock"):
                found = self.get(name)
                same = found is not None and found.data == seen.data
                if same:
                    self._call(lambda: obstore.put(self._opened, name, data))
                return same
        try:
            self._call(lambda: obstore.put(self._opened, name, data, mode={"e_tag": seen.tag or ""}))
        except (PreconditionError, AlreadyExistsError, FileNotFoundError):
            return False
        return True

    def upload(self, name: str, blocks: Callable[[], Iterator[bytes]], size: int) -> None:
        """Writes the ``size`` bytes that each call of ``blocks`` yields anew, over what is there, in parts."""

        def told() -> Iterator[bytes]:
            for block in blocks():
                yield block
                waiting.progress()

        waiting = Waiting(self._patience)
        part = max(PART, size // _MOST_PARTS)
        self._call(
            lambda: obstore.put(
                self._opened, name, told(), use_multipart=True, chunk_size=part, max_concurrency=_AT_ONCE
            ),
            waiting,
        )

    def remove(self, names: Iterable[str]) -> None:
        """Those that are there."""
        for name in names:
            with suppress(FileNotFoundError):
                self._call(lambda name=name: obstore.delete(self._opened, name))  # type: ignore[misc]

    def set_aside(self, name: str, tag: str | None, to: str) -> None:
        """Moves an object with the ``tag``, if it still has it, as far as this user may."""
        with suppress(FileNotFoundError, TinsmithError):
            found = self.head(name)
            if found is not None and found.tag == tag:
                self._call(lambda: obstore.rename(self._opened, name, to))

    def listed(self, folder: str) -> list[Listed]:
        """What lies in ``folder`` and below. IntegrityError if one has a name that is none."""
        try:
            found = self._call(lambda: obstore.list(self._opened, folder).collect())
        except FileNotFoundError:
            return []
        return [Listed(item["path"], item["size"], item["last_modified"]) for item in found]

    def _or_none(self, action: Callable[[], T], waiting: Waiting | None = None) -> T | None:
        try:
            return self._call(action, waiting)
        except FileNotFoundError:
            return None

    def _call(self, action: Callable[[], T], waiting: Waiting | None = None) -> T:
        """``action``, again and again while the store is away. Answers of the store to it are passed on."""
        waiting = waiting or Waiting(self._patience)
        while True:
            try:
                return action()
            except (AlreadyExistsError, PreconditionError):
                raise
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise unreachable(self.address, self._patience, error) from error
                raise
            except InvalidPathError as error:
                raise IntegrityError(
                    f"the store {self.address} has an object with a name that cannot be: {reason(error)}",
                    help="tinsmith has not written it: remove it",
                ) from error
            except BaseError as error:
                if is_final(error) or not waiting.again():
                    raise unreachable(self.address, self._patience, error) from error


def _meta(found: ObjectMeta) -> Meta:
    return Meta(found["size"], found["e_tag"])
