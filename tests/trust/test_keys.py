from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from builder.errors import UsageError
from builder.trust.keys import load_public, load_signing, new_key
from tests.trust.pieces import TEAM


def none() -> str | None:
    return None


def test_a_pair_is_written_once_and_the_private_half_is_for_its_owner(tmp_path: Path) -> None:
    made, private, public = new_key("team", tmp_path / "keys")
    assert private.stat().st_mode & 0o777 == 0o600
    assert load_public(public.read_bytes(), "x").id == made.public.id
    assert load_signing(private.read_bytes(), "x", none).public == made.public
    before = private.read_bytes()
    with pytest.raises(UsageError, match="there already"):
        new_key("team", tmp_path / "keys")
    assert private.read_bytes() == before
    private.unlink()
    with pytest.raises(UsageError, match="there already"):
        new_key("team", tmp_path / "keys")
    assert not private.exists()


def test_the_id_is_the_hash_of_what_openssl_writes(tmp_path: Path) -> None:
    made, private, public = new_key("team", tmp_path)
    for command in (["-pubin", "-in", public], ["-in", private, "-pubout"]):
        der = subprocess.run(["openssl", "pkey", *command, "-outform", "DER"], capture_output=True, check=True).stdout
        assert hashlib.sha256(der).hexdigest() == made.public.id


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "x" * 65, "a\n"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        new_key(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_encrypted_key_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    made, private, _ = new_key("team", tmp_path, "open sesame")
    data = private.read_bytes()
    assert load_signing(data, "x", lambda: "open sesame").public == made.public
    with pytest.raises(UsageError, match="does not open"):
        load_signing(data, "x", lambda: "wrong")
    with pytest.raises(UsageError, match="encrypted") as caught:
        load_signing(data, "x", none)
    assert "TINSMITH_KEY_PASSPHRASE" in str(caught.value.help)


def test_a_private_key_never_passes_for_a_public_one_and_never_shows_itself() -> None:
    pem = TEAM.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(UsageError, match="private key where a public one belongs"):
        load_public(pem, "team.key")
    assert "key=" not in repr(TEAM)
    assert TEAM.public.id in repr(TEAM)


def test_keys_of_other_kinds_and_other_files_are_refused() -> None:
    curve = generate_private_key(SECP256R1())
    public = curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (
        public,
        b"",
        b"hello",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"\xff" * 20000,
    ):
        with pytest.raises(UsageError):
            load_public(data, "x")
    for data in (private, b"", b"PRIVATE KEY", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(UsageError):
            load_signing(data, "x", none)
