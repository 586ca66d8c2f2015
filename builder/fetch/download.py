"""One file by address and hash: continued where it broke off, and never believed before it is hashed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from builder.digest import digest_file
from builder.errors import IntegrityError, StoreUnreachable
from builder.registry.receive import Meter, forget, receive
from builder.registry.wire import Answer, Limits, Wire

Emit = Callable[[str, Mapping[str, Any]], None]

_HELP = "check the address, add one under 'mirrors', or give a local copy: --source NAME=PATH"


def download(url: str, sha256: str, folder: Path, emit: Emit) -> Path:
    """The file at ``url`` as ``folder``/``sha256``, hashed whole.

    What an interrupted download left is continued, also from another address. IntegrityError if the file is another
    one, StoreUnreachable if it cannot be fetched or there is no room for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256
    if path.is_file() and digest_file(path) == f"sha256:{sha256}":
        return path
    with Wire(Limits()) as wire:

        def opened(headers: Mapping[str, str]) -> AbstractContextManager[Answer]:
            return wire.exchange("GET", url, headers, small=False)

        try:
            receive(opened, url, sha256, None, path, folder, wire, Meter("fetched", None, emit))
        except StoreUnreachable as error:
            raise StoreUnreachable(error.message, help=_HELP) from error
        except IntegrityError as error:
            help = "check 'sha256'; if the address now has another file, that is not what the manifest means"
            raise IntegrityError(error.message, help=help) from error
    forget(folder, [sha256])
    return path
