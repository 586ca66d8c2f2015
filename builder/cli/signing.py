"""The key that a command signs with: --key, then TINSMITH_KEY, then ``[sign] key`` of tinsmith.toml."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.release.layout import Layout
    from builder.release.make import Signer
    from builder.release.release import Attachment, Release
    from builder.trust.keys import SigningKey

Key = Annotated[
    str | None,
    typer.Option(
        "--key", envvar="TINSMITH_KEY", metavar="FILE", help="Private key to sign with.", show_default=False
    ),
]  # fmt: skip

PASSPHRASE = "TINSMITH_KEY_PASSPHRASE"


def signing_key(chosen: str | None) -> SigningKey | None:
    """The key to sign with, None if none is set. ``chosen``: a file, or the key itself in PEM (for build services).

    UsageError if it cannot be read or opened.
    """
    from builder.configuration import configurations

    inline = chosen is not None and chosen.lstrip().startswith("-----BEGIN")
    path = Path(chosen).expanduser() if chosen and not inline else None
    if not chosen:
        path = next((item.file(item.settings.sign.key) for item in configurations() if item.settings.sign.key), None)
    if path is None and not inline:
        return None
    from builder.trust.keys import load_signing, read_key_file  # cryptography, only where there is a key

    if path is None:
        return load_signing(str(chosen).encode(), "TINSMITH_KEY", passphrase)
    return load_signing(read_key_file(path), str(path), passphrase)


def signer(chosen: str | None) -> Signer:
    """Who vouches for what is built now; errors as for ``signing_key``."""
    from builder.configuration import configurations
    from builder.release.make import Signer
    from builder.release.provenance import BUILDER

    named = [item.settings.sign.builder for item in configurations() if item.settings.sign.builder]
    return Signer(signing_key(chosen), named[0] if named else BUILDER)


def required_key(chosen: str | None) -> SigningKey:
    """As ``signing_key``; UsageError if none is set."""
    key = signing_key(chosen)
    if key is None:
        raise UsageError("no key to sign with", help="give --key FILE; make one with: tinsmith key new NAME")
    return key


def sign_as_built(layout: Layout, release: Release, key: SigningKey) -> Attachment:
    """Signs the provenance of ``release`` that agrees with its recipe and names a builder of this user.

    Errors as for ``sign_release``. Signatures of the keys in the rules for this name are kept beside it.
    """
    from builder.configuration import configurations
    from builder.rebuild.agreement import agreement
    from builder.release.provenance import BUILDER
    from builder.release.sign import sign_release
    from builder.trust.policy import load_policy

    found = configurations()
    builders = {BUILDER, *(item.settings.sign.builder for item in found if item.settings.sign.builder)}
    trusted = load_policy(found).keys_for(release.name)
    return sign_release(layout, release, key, agreement(layout, release, builders), trusted)


def passphrase() -> str | None:
    """From the environment, or asked for if somebody sits there."""
    if found := os.environ.get(PASSPHRASE):
        return found
    if not sys.stdin.isatty():
        return None
    answer: str = typer.prompt("passphrase of the key", hide_input=True, err=True)
    return answer
