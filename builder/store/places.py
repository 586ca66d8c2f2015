"""Which store an address means: a folder of this machine, or a URL of one that many machines share."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from builder.errors import StoreUnreachable, UsageError
from builder.settings import cache_folder, store_cache_bytes, store_patience
from builder.store.base import BuildStore
from builder.store.disk import DiskStore

if TYPE_CHECKING:
    from builder.store.cached import CachedStore
    from builder.store.objects import ObjectStore

FORMS = "a folder, s3://BUCKET/PREFIX or file:///FOLDER"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._=@+-]+")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


def is_shared(place: str | Path) -> bool:
    """Whether ``place`` is the URL of a store that many machines use."""
    return isinstance(place, str) and _SCHEME.match(place) is not None


def open_store(place: str | Path) -> BuildStore:
    """The store at ``place``: a folder, made if need be, or a URL: then see ``open_shared``."""
    return open_shared(str(place)) if is_shared(place) else DiskStore(Path(place))


def open_known(place: str | Path) -> BuildStore | None:
    """As ``open_store``, but a folder that is not there stays so, and is None."""
    return open_store(place) if is_shared(place) or Path(place).is_dir() else None


def open_shared(url: str) -> CachedStore:
    """The shared store at ``url``, read through the cache of this machine.

    UsageError for a URL that means none, or if the packages for it are not installed; StoreUnreachable if it cannot
    be read.
    """
    from builder.store.cached import CachedStore

    remote = remote_store(url, store_patience())
    remote.check()
    return CachedStore(remote, DiskStore(cache_folder() / "store", lasting=False), store_cache_bytes())


def remote_store(url: str, patience: float) -> ObjectStore:
    """The shared store at ``url`` itself, unread. UsageError as for ``open_shared``."""
    try:
        parts = urlsplit(url)
        plain = not (parts.query or parts.fragment or "@" in parts.netloc) and unquote(parts.path).isprintable()
    except ValueError:
        raise _no_store(url) from None
    if not plain or not url.isprintable():  # urlsplit drops what is not
        raise _no_store(url)
    try:
        import obstore  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"a shared store takes packages that are not installed ({error})", help="install tinsmith[cluster]"
        ) from error
    if parts.scheme == "s3":
        return _s3(url, parts.netloc, parts.path.removeprefix("/").removesuffix("/"), patience)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.strip("/"):
        return _folder(Path(unquote(parts.path)), patience)
    raise _no_store(url)


def _s3(url: str, bucket: str, prefix: str, patience: float) -> ObjectStore:
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    from builder.store.away import reason
    from builder.store.objects import ObjectStore

    if not _BUCKET.fullmatch(bucket) or not all(map(_SEGMENT.fullmatch, prefix.split("/") if prefix else [])):
        raise _no_store(url)
    endpoint = _endpoint(os.environ)
    # No answer for so long is none: then the request is made once more, and after that by ``Bucket``.
    silence = min(15.0, max(0.5, patience / 4))
    _check_credentials(os.environ)
    try:
        opened = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "allow_http": endpoint is not None and endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=min(5.0, silence)),
                "read_timeout": timedelta(seconds=silence),
                "timeout": "1 day",  # of a whole transfer, however large
            },
            retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=patience)},
            config={"endpoint": endpoint} if endpoint else {},
        )
    except BaseError as error:
        raise UsageError(
            f"the AWS_… variables make no store: {reason(error)}",
            help="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL if the server is not Amazon's",
        ) from error
    return ObjectStore(
        opened, f"s3://{bucket}/{prefix}".rstrip("/") + (f" at {endpoint}" if endpoint else ""), patience
    )


def _endpoint(environ: Mapping[str, str]) -> str | None:
    """The address of an S3 server other than Amazon's. UsageError for one that is none: obstore would not say so."""
    name = next((name for name in _ENDPOINTS if environ.get(name)), None)
    if name is None:
        return None
    text = environ[name]
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in text or not text.isprintable() or " " in text:
        raise UsageError(f"{name} is {text!a:.100}, which is no address of a server", help="such as https://HOST:9000")
    return text.rstrip("/")


def _check_credentials(environ: Mapping[str, str]) -> None:
    """UsageError for those that cannot be sent, as with the end of the line that they were read from."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        text = environ.get(name, "")
        sent = text.isascii() or name == "AWS_SECRET_ACCESS_KEY"
        if not (sent and text.isprintable() and text == text.strip()):
            raise UsageError(f"{name} has a character that it cannot have", help="a space, or the end of a line?")


def _folder(path: Path, patience: float) -> ObjectStore:
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore

    from builder.store.objects import ObjectStore

    try:
        # Not its parents: where nothing is mounted, nothing is to be written.
        path.mkdir(exist_ok=True)
        return ObjectStore(LocalStore(path), str(path), patience)
    except (OSError, BaseError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no folder"
        raise StoreUnreachable(
            f"the shared folder {path} cannot be used: {reason}", help="is it mounted, and may you write there?"
        ) from error


def _no_store(url: str) -> UsageError:
    return UsageError(f"{url!a:.200} is no store", help=f"{FORMS}; credentials go into AWS_ACCESS_KEY_ID and others")
