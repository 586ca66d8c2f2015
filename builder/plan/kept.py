"""Bytes kept in the user's cache folder under the digest of what they were made from, in one SQLite file.

Whatever is wrong with the file or its folder, nothing is lost by it but time: what cannot be read is made again, and a
file that is broken is replaced. A row is believed only if it carries the digest of its key and its bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from builder.settings import cache_folder

MOST_BYTES = 256 << 20
"""Of the file; beyond, what was not used for longest goes, half of it."""

_TABLE = "CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, used INTEGER NOT NULL, data BLOB NOT NULL)"
_WAIT = 2.0
"""Seconds for another tinsmith that is writing."""
_AT_ONCE = 500
_CHECK = 16
_DAY = 86_400
_FOREIGN = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOMEM,
}  # fmt: skip
"""Errors that another process or the disk is behind, not what is in the file."""

Answer = TypeVar("Answer")


class Kept:
    """What is kept in the file at ``path``, which need not exist; nothing is if it is None.

    Several processes may use it at once.
    """

    def __init__(self, path: Path | None, most_bytes: int = MOST_BYTES) -> None:
        self.path = path
        self.most_bytes = most_bytes

    def read(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """What is kept of ``keys``."""
        wanted = list(dict.fromkeys(keys))
        return self._with(lambda connection: self._read(connection, wanted), new=False) or {}

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        """Keeps ``entries``, if that can be done."""
        if entries:
            self._with(lambda connection: self._write(connection, entries), new=True)

    def _with(self, act: Callable[[sqlite3.Connection], Answer], *, new: bool) -> Answer | None:
        """What ``act`` says; None if there is no file and no ``new`` one is to be made, or it cannot be used."""
        if self.path is None:
            return None
        try:
            return self._tried(act, self.path) if new or self.path.exists() else None
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _FOREIGN:
                return None
        except OSError:
            return None
        with contextlib.suppress(sqlite3.Error, OSError):
            self.path.unlink(missing_ok=True)
            self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
            return self._tried(act, self.path)
        return None

    def _tried(self, act: Callable[[sqlite3.Connection], Answer], path: Path) -> Answer:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=_WAIT, isolation_level=None)) as connection:
            # What is lost when the power fails is made again.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_TABLE)
            return act(connection)

    def _read(self, connection: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, bytes]:
        found, unused, today = {}, [], int(time.time()) // _DAY
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            for key, used, data in connection.execute(f"SELECT key, used, data FROM kept WHERE key IN ({marks})", some):
                if isinstance(data, bytes) and data[:_CHECK] == _check(key, data[_CHECK:]):
                    found[key] = data[_CHECK:]
                    if used != today:
                        unused.append((today, key))
        if unused:
            with contextlib.suppress(sqlite3.OperationalError), _transaction(connection):
                connection.executemany("UPDATE kept SET used = ? WHERE key = ?", unused)
        return found

    def _write(self, connection: sqlite3.Connection, entries: Mapping[bytes, bytes]) -> None:
        today = int(time.time()) // _DAY
        rows = [(key, today, _check(key, data) + data) for key, data in entries.items()]
        with _transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)
            if self._bytes(connection) > self.most_bytes:
                (count,) = connection.execute("SELECT count(*) FROM kept").fetchone()
                connection.execute(
                    "DELETE FROM kept WHERE key IN (SELECT key FROM kept ORDER BY used, rowid LIMIT ?)", [count // 2]
                )

    def _bytes(self, connection: sqlite3.Connection) -> int:
        """In use; what was deleted is used again first, so that the file does not grow."""
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def user_kept() -> Kept:
    """What is kept for this user; nothing for one without a home."""
    try:
        return Kept(cache_folder() / "plans.sqlite3")
    except RuntimeError:
        return Kept(None)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _check(key: bytes, data: bytes) -> bytes:
    return hashlib.sha256(key + data).digest()[:_CHECK]
