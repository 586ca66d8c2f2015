"""Ed25519 keys in the files that openssl reads: PKCS#8 and SubjectPublicKeyInfo, both PEM.

Sources: RFC 8032 (Ed25519), RFC 5958 and 8410 (the files). A key's id is the SHA-256 of its SubjectPublicKeyInfo in
DER, in hex: ``openssl pkey -pubin -in x.pub -outform DER | sha256sum`` gives the same.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from builder.errors import UsageError

PRIVATE_SUFFIX, PUBLIC_SUFFIX = ".key", ".pub"

Passphrase = Callable[[], str | None]
"""Asked for only if a key is encrypted; None if there is none to be had."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LARGEST = 16 << 10


@dataclass(frozen=True)
class PublicKey:
    """``id`` is 64 hex digits and names the key; two of the same id are the same key."""

    id: str
    key: Ed25519PublicKey = field(compare=False, repr=False)

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> PublicKey:
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(hashlib.sha256(der).hexdigest(), key)

    @property
    def pem(self) -> bytes:
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key; it shows itself only by its public half."""

    public: PublicKey
    key: Ed25519PrivateKey = field(compare=False, repr=False)

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> SigningKey:
        return cls(PublicKey.of(key.public_key()), key)

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        return self.key.sign(message)


def new_key(name: str, folder: Path, passphrase: str | None = None) -> tuple[SigningKey, Path, Path]:
    """Makes a key pair and writes ``folder``/NAME.key (mode 0600, encrypted if there is a passphrase) and NAME.pub.

    UsageError if the name is no file name or one of the files is there.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} cannot be the name of a key", help="letters, digits, '.', '_' and '-': team")
    private, public = folder / f"{name}{PRIVATE_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
    made = SigningKey.of(Ed25519PrivateKey.generate())
    for path in (private, public):
        if os.path.lexists(path):
            raise _there(path)
    folder.mkdir(parents=True, exist_ok=True)
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    _write_new(private, made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), 0o600)
    _write_new(public, made.public.pem, 0o644)
    return made, private, public


def load_public(data: bytes, what: str) -> PublicKey:
    """The public key in the PEM ``data``; ``what`` is what errors call it. UsageError if it is none."""
    if b"PRIVATE KEY" in data:
        raise UsageError(
            f"{what} is a private key where a public one belongs",
            help=f"give its {PUBLIC_SUFFIX} file, and keep this one out of repositories and settings",
        )
    try:
        if len(data) > _LARGEST:
            raise ValueError("it is too large")
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(what, "public") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{what} is a key of another kind than Ed25519", help="make one with: tinsmith key new NAME")
    return PublicKey.of(key)


def load_signing(data: bytes, what: str, passphrase: Passphrase) -> SigningKey:
    """The private key in the PEM ``data``. UsageError if it is none, or the passphrase is wrong."""
    if len(data) > _LARGEST or b"PRIVATE KEY" not in data:
        raise _no_key(what, "private")
    secret = None
    if b"ENCRYPTED" in data:
        secret = passphrase()
        if not secret:
            raise UsageError(f"{what} is encrypted", help="give its passphrase in TINSMITH_KEY_PASSPHRASE")
    try:
        key = load_pem_private_key(data, secret.encode() if secret else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if secret:
            raise UsageError(f"{what} does not open with this passphrase") from None
        raise _no_key(what, "private") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{what} is a key of another kind than Ed25519", help="make one with: tinsmith key new NAME")
    return SigningKey.of(key)


def read_key_file(path: Path) -> bytes:
    """The bytes of a key's file, bounded. UsageError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"the key {path} cannot be read: {error.strerror}") from error


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError:
        raise _there(path) from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _there(path: Path) -> UsageError:
    return UsageError(f"{path} is there already", help="a key is never overwritten: choose another name or folder")


def _no_key(what: str, half: str) -> UsageError:
    return UsageError(f"{what} is not a {half} key in PEM form", help="make one with: tinsmith key new NAME")
