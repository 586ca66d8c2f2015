"""Whatever comes from outside ends in a value or in the documented error, never in anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from builder.configuration import parse_settings
from builder.errors import IntegrityError, UsageError
from builder.trust import dsse
from builder.trust.artifact import envelope_of, index_artifact
from builder.trust.document import read_document
from builder.trust.index import Index, open_index
from builder.trust.memory import Seen
from builder.trust.policy import Origin, decide
from builder.trust.statement import check_subject, parse_provenance
from tests.trust.pieces import PLACE, POLICY, TEAM, index_of, release, sealed, signed, statement

IT = release()


def provenance(data: bytes) -> None:
    check_subject(parse_provenance(data, "it"), IT, "it")


def policy(data: bytes) -> None:
    decide(POLICY, IT, Origin("registry", PLACE), [data])


def envelope(data: bytes) -> None:
    dsse.signers(dsse.parse(data), [TEAM.public])


READERS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "envelope": (envelope, signed(IT)),
    "policy": (policy, signed(IT)),
    "provenance": (provenance, statement(IT)),
    "signed index": (lambda data: open_index(data, (TEAM.public,)), sealed(IT)),
    "index": (lambda data: read_document(data, Index, "it"), index_of(IT).payload()),
    "memory": (
        lambda data: read_document(data, Seen, "it"),
        json.dumps({"schema": 1, "place": PLACE, "serial": 1, "index": IT.digest, "versions": {}}).encode(),
    ),
    "artifact": (envelope_of, index_artifact(sealed(IT)).document),
}

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(some.characters(), max_size=20),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("name", READERS)
def test_the_examples_are_good(name: str) -> None:
    read, good = READERS[name]
    read(good)


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None, max_examples=60)
@given(data=some.data())
def test_json_with_a_changed_part(name: str, data: some.DataObject) -> None:
    read, good = READERS[name]
    document = json.loads(good)
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(some.sampled_from(list(keys)))
        inner = place[key]
        if not (isinstance(inner, dict | list) and inner) or data.draw(some.booleans()):
            place[key] = data.draw(VALUES)
            break
        place = inner
    _read(read, json.dumps(document).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None, max_examples=60)
@given(data=some.data())
def test_bytes_changed_anywhere(name: str, data: some.DataObject) -> None:
    read, good = READERS[name]
    changed = bytearray(good)
    for _ in range(data.draw(some.integers(1, 3))):
        start = data.draw(some.integers(0, len(changed)))
        changed[start : start + data.draw(some.integers(0, 9))] = data.draw(some.binary(max_size=9))
    _read(read, bytes(changed))


@settings(deadline=None, max_examples=100)
@given(VALUES, some.binary(max_size=50))
def test_anything_at_all(value: Any, data: bytes) -> None:
    for read, _ in READERS.values():
        _read(read, json.dumps(value).encode("utf-8", "surrogatepass"))
        _read(read, data)


@settings(deadline=None, max_examples=100)
@given(some.data())
def test_settings(data: some.DataObject) -> None:
    good = b'[sign]\nkey = "k"\n[[trust]]\nnames = ["a"]\nkeys = ["b"]\nthreshold = 1\n'
    changed = bytearray(good)
    start = data.draw(some.integers(0, len(good)))
    changed[start : start + data.draw(some.integers(0, 9))] = data.draw(
        some.sampled_from(
            [b"[", b"]", b"=", b'"', b"\n", b"{", b"1979-05-27", b"nan", b"\xff", b"[[trust]]", b"sign.x="]
        )
    )
    try:
        parse_settings(bytes(changed), "tinsmith.toml")
    except UsageError as error:
        assert "tinsmith.toml" in error.message


def _read(read: Callable[[bytes], Any], data: bytes) -> None:
    try:
        read(data)
    except IntegrityError as error:
        assert len(error.message) < 1500
        assert error.message.isprintable()
        assert error.help
