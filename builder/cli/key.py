from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import Json
from builder.cli.signing import PASSPHRASE, passphrase

key = typer.Typer(name="key", help="Make and show the keys that releases are signed with.", no_args_is_help=True)


@key.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Name of the files: NAME.key and NAME.pub.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write them to.")] = Path(),
    unencrypted: Annotated[bool, typer.Option("--unencrypted", help="Ask for no passphrase.")] = False,
) -> None:
    """Make an Ed25519 key pair: NAME.key to sign with, which stays secret, and NAME.pub to give away.

    Example: tinsmith key new team -o keys
    """
    from builder.trust.keys import new_key

    secret = os.environ.get(PASSPHRASE)
    if not secret and not unencrypted and sys.stdin.isatty():
        secret = typer.prompt(
            "passphrase (empty for none)", default="", show_default=False, hide_input=True, err=True,
            confirmation_prompt=True,
        )  # fmt: skip
    made, private, public = new_key(name, out, secret or None)
    print(f"{private}  secret{'' if secret else ', not encrypted'}: keep it out of repositories")
    print(f"{public}  public: name it under [[trust]] in tinsmith.toml")
    print(f"id {made.public.id}")


@key.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A public or a private key.")],
    as_json: Json = False,
) -> None:
    """Print a key's id and its public half.

    Example: tinsmith key show keys/team.pub
    """
    from builder.trust.keys import load_public, load_signing, read_key_file

    data = read_key_file(file)
    found = load_signing(data, str(file), passphrase).public if b"PRIVATE KEY" in data else load_public(data, str(file))
    pem = found.pem.decode()
    if as_json:
        print(json.dumps({"id": found.id, "public_key": pem}, indent=2))
        return
    print(f"id {found.id}\n{pem}", end="")
