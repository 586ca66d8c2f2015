"""Names -> digests: what a manifest's toolchains and data stood for when it was locked."""

from builder.lock.check import check_lock, locked
from builder.lock.file import load_lock, lock_path, write_lock
from builder.lock.make import make_lock
from builder.lock.model import Lock
from builder.lock.sources import source_opener

__all__ = [
    "Lock",
    "check_lock",
    "load_lock",
    "lock_path",
    "locked",
    "make_lock",
    "source_opener",
    "write_lock",
]
