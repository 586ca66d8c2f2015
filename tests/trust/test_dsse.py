from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builder.errors import IntegrityError
from builder.trust import dsse
from tests.trust.pieces import OTHER, STRANGER, TEAM

TYPE, PAYLOAD = "application/x", b'{"hello":"w\xc3\xb6rld"}'


def refused(data: bytes, keys: list[Any], threshold: int = 1, kind: str = TYPE) -> str:
    with pytest.raises(IntegrityError) as caught:
        dsse.verify(dsse.parse(data), kind, [key.public for key in keys], threshold, "it")
    assert caught.value.exit_status == 7
    return caught.value.code


def test_the_encoding_is_that_of_the_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert dsse.pae("ä", b"") == b"DSSEv1 2 \xc3\xa4 0 "


def test_a_signature_verifies_with_plain_openssl(tmp_path: Path) -> None:
    envelope = dsse.parse(dsse.sign(TYPE, PAYLOAD, [TEAM]))
    (tmp_path / "pub.pem").write_bytes(TEAM.public.pem)
    (tmp_path / "pae.bin").write_bytes(dsse.pae(TYPE, envelope.payload))
    (tmp_path / "sig.bin").write_bytes(envelope.signatures[0].signature)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "pub.pem",
        "-rawin",
        "-in",
        "pae.bin",
        "-sigfile",
        "sig.bin",
    ]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "pae.bin").write_bytes(dsse.pae(TYPE, envelope.payload + b" "))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_a_signature_that_openssl_made_is_taken(tmp_path: Path) -> None:
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", "k.pem"], cwd=tmp_path, check=True)
    subprocess.run(["openssl", "pkey", "-in", "k.pem", "-pubout", "-out", "pub.pem"], cwd=tmp_path, check=True)
    (tmp_path / "pae.bin").write_bytes(dsse.pae(TYPE, PAYLOAD))
    command = "openssl pkeyutl -sign -inkey k.pem -rawin -in pae.bin -out sig.bin"
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    from builder.trust.keys import load_public

    public = load_public((tmp_path / "pub.pem").read_bytes(), "pub.pem")
    made = dsse.Envelope(TYPE, PAYLOAD, (dsse.Signature("", (tmp_path / "sig.bin").read_bytes()),))
    assert dsse.verify(made, TYPE, [public], 1, "it") == (public,)


def test_the_same_arguments_give_the_same_bytes_and_a_second_signer_is_added() -> None:
    one = dsse.sign(TYPE, PAYLOAD, [TEAM])
    assert dsse.sign(TYPE, PAYLOAD, [TEAM]) == one
    both = dsse.sign(TYPE, PAYLOAD, [OTHER], dsse.parse(one).signatures)
    assert dsse.sign(TYPE, PAYLOAD, [TEAM, OTHER], dsse.parse(one).signatures) == both
    keys = [TEAM.public, OTHER.public, STRANGER.public]
    assert dsse.verify(dsse.parse(both), TYPE, keys, 2, "it") == (TEAM.public, OTHER.public)


def test_one_key_never_counts_twice() -> None:
    document = json.loads(dsse.sign(TYPE, PAYLOAD, [TEAM]))
    document["signatures"] *= 3
    document["signatures"][1]["keyid"] = OTHER.public.id
    assert refused(json.dumps(document).encode(), [TEAM, OTHER], 2) == "wrong-key"
    twice = dsse.parse(json.dumps(document).encode())
    assert dsse.signers(twice, [TEAM.public, TEAM.public]) == (TEAM.public,)


def test_the_key_id_is_a_hint_and_proves_nothing() -> None:
    document = json.loads(dsse.sign(TYPE, PAYLOAD, [STRANGER]))
    document["signatures"][0]["keyid"] = TEAM.public.id
    assert refused(json.dumps(document).encode(), [TEAM]) == "wrong-key"
    del document["signatures"][0]["keyid"]
    assert dsse.signers(dsse.parse(json.dumps(document).encode()), [STRANGER.public]) == (STRANGER.public,)


def test_a_changed_payload_or_type_is_not_what_was_signed() -> None:
    document = json.loads(dsse.sign(TYPE, PAYLOAD, [TEAM]))
    other = {**document, "payload": base64.b64encode(PAYLOAD + b" ").decode()}
    assert refused(json.dumps(other).encode(), [TEAM]) == "wrong-key"
    assert refused(json.dumps({**document, "payloadType": "application/y"}).encode(), [TEAM]) == "wrong-type"
    assert refused(json.dumps({**document, "payloadType": "application/y"}).encode(), [TEAM], kind="application/y") == (
        "wrong-key"
    )


def test_no_signature_is_unsigned_and_too_few_are_the_wrong_ones() -> None:
    assert refused(dsse.sign(TYPE, PAYLOAD, []), [TEAM]) == "unsigned"
    assert refused(dsse.sign(TYPE, PAYLOAD, [TEAM]), [TEAM, OTHER], 2) == "wrong-key"
    assert refused(dsse.sign(TYPE, PAYLOAD, [STRANGER]), [TEAM]) == "wrong-key"


def test_both_base64_alphabets_and_unknown_fields_are_read() -> None:
    payload = bytes(range(256))
    document = json.loads(dsse.sign(TYPE, payload, [TEAM]))
    document["payload"] = base64.urlsafe_b64encode(payload).decode()
    document["extension"] = {"kind": "later"}
    assert dsse.verify(dsse.parse(json.dumps(document).encode()), TYPE, [TEAM.public], 1, "it")


GOOD = json.loads(dsse.sign(TYPE, PAYLOAD, [TEAM]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b'{"payload":"",' + json.dumps(GOOD).encode()[1:],
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        json.dumps({**GOOD, "payload": "not base64!"}).encode(),
        json.dumps({**GOOD, "payload": "ä"}).encode(),
        json.dumps({**GOOD, "payload": 1}).encode(),
        json.dumps({**GOOD, "signatures": GOOD["signatures"] * 17}).encode(),
        json.dumps({**GOOD, "signatures": {}}).encode(),
        json.dumps({**GOOD, "signatures": [{"keyid": "x"}]}).encode(),
        json.dumps({key: value for key, value in GOOD.items() if key != "signatures"}).encode(),
        json.dumps({**GOOD, "x": float("nan")}).encode(),
        json.dumps({**GOOD, "x": "\ud800"}).encode(),
        json.dumps(GOOD).encode()[:-1] + b',"x":1e999}',
        b" " * (9 << 20),
    ],
    ids=range(19),
)
def test_what_is_not_an_envelope_is_malformed(data: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        dsse.parse(data)
    assert caught.value.code == "malformed"
    assert len(caught.value.message) < 1000
