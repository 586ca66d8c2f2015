"""Addresses that may be asked: https, or http on this machine itself. Pure."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from builder.errors import StoreUnreachable

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK


def joined(base: str, location: str) -> str:
    """``location`` relative to ``base``. StoreUnreachable if it is no address."""
    try:
        target = urljoin(base, location)
        _ = urlsplit(target).port  # raises for what is no number
    except ValueError as error:
        raise StoreUnreachable(f"{base} leads to what is no address: {location[:100]!a}") from error
    return target


def check_address(url: str) -> None:
    """StoreUnreachable unless what is sent to ``url`` is encrypted, or stays on this machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise StoreUnreachable(f"{url[:200]!a} is no address") from error
    if "@" in parts.netloc or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))):
        raise StoreUnreachable(
            f"{url[:200]!a} is not an https address", help="plain http is for this machine itself only"
        )
