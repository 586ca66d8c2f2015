from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from builder.digest import canonical_json, digest_bytes
from builder.errors import IntegrityError, TinsmithError, UsageError
from builder.trust import dsse
from builder.trust.artifact import envelope_of, index_artifact
from builder.trust.index import INDEX_TYPE, Index, listing, open_index, renewed, revoking, seal
from builder.trust.memory import Memory
from builder.trust.publish import publish
from tests.trust.pieces import DAY, NOW, OTHER, PLACE, SIZE, STRANGER, TEAM, Shelf, index_of, release, sealed

ONE, TWO = release("1.0.0"), release("2.0.0")


def test_an_index_reads_back_and_the_same_one_gives_the_same_bytes() -> None:
    index = index_of(ONE, TWO)
    opened = open_index(seal(index, TEAM), (TEAM.public,))
    assert (opened.index, opened.keys) == (index, (TEAM.public,))
    assert (opened.index.name, opened.index.serial) == ("raccoon", 1)
    assert (opened.index.issued, opened.index.expires) == ("2026-11-24T12:00:00Z", "2027-02-22T12:00:00Z")
    assert seal(index, TEAM) == seal(opened.index, TEAM)


def test_a_renewal_raises_the_number_and_keeps_the_versions() -> None:
    first = revoking(index_of(ONE, TWO), "1.0.0", "wrong labels")
    second = renewed(first, PLACE, NOW + DAY, 30 * DAY)
    assert (second.serial, second.releases, second.revoked) == (2, first.releases, first.revoked)
    assert second.expires == "2026-12-25T12:00:00Z"


@pytest.mark.parametrize("lifetime", [datetime.timedelta(0), -DAY, 731 * DAY])
def test_an_index_holds_for_a_time_that_means_something(lifetime: datetime.timedelta) -> None:
    with pytest.raises(UsageError):
        renewed(None, PLACE, NOW, lifetime)


def refused(function: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(TinsmithError) as caught:
        function(*arguments, **named)
    return caught.value.code


def test_a_listed_version_never_gets_another_digest_or_a_foreign_release() -> None:
    index = index_of(ONE)
    assert refused(listing, index, release("1.0.0", b"other"), SIZE) == "immutable"
    assert refused(listing, index, release(name="squirrel"), SIZE) == "wrong-name"
    assert listing(index, ONE, SIZE).releases == index.releases
    assert refused(revoking, index, "3.0.0", "why") == "usage"
    assert refused(revoking, index, "1.0.0", " ") == "usage"
    assert refused(revoking, index, "1.0.0", "a\x1b[2J") == "usage"
    assert refused(renewed, index, PLACE, NOW - DAY) == "clock"


GOOD = json.loads(index_of(ONE).payload())
ENTRY = {"digest": ONE.digest, "size": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"type": "other"}, {"schema": 2}, {"schema": True}, {"serial": 0}, {"serial": "1"}, {"serial": 1.0},
        {"serial": 2**53}, {"repository": ""}, {"repository": "a b"}, {"issued": "today"},
        {"expires": "2026-13-45T00:00:00Z"}, {"expires": GOOD["issued"]}, {"releases": []},
        {"releases": {"latest": ENTRY}}, {"releases": {"1.0.0": {**ENTRY, "digest": "sha256:1"}}},
        {"releases": {"1.0.0": {**ENTRY, "size": 0}}}, {"releases": {"1.0.0": {**ENTRY, "x": 1}}},
        {"revoked": {"9.0.0": "why"}}, {"revoked": {"1.0.0": "\x1b[2J"}}, {"unknown": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_signed_payload_that_is_no_index_is_malformed(change: dict[str, Any]) -> None:
    data = dsse.sign(INDEX_TYPE, canonical_json({**GOOD, **change}), [TEAM])
    assert refused(open_index, data, (TEAM.public,)) == "malformed"


def test_nothing_is_read_before_its_signature_and_type_are_right() -> None:
    for payload in (b"not JSON", canonical_json(GOOD)):
        assert refused(open_index, dsse.sign(INDEX_TYPE, payload, [STRANGER]), (TEAM.public,)) == "wrong-key"
    provenance = dsse.sign("application/vnd.in-toto+json", canonical_json(GOOD), [TEAM])
    assert refused(open_index, provenance, (TEAM.public,)) == "wrong-type"
    assert refused(open_index, dsse.sign(INDEX_TYPE, canonical_json(GOOD), []), (TEAM.public,)) == "unsigned"


def test_the_artifact_holds_the_envelope() -> None:
    envelope = sealed(ONE)
    artifact = index_artifact(envelope)
    assert artifact == index_artifact(envelope)
    assert envelope_of(artifact.document) == (digest_bytes(envelope), len(envelope))
    document = json.loads(artifact.document)
    assert {document["config"]["digest"], document["layers"][0]["digest"]} == set(map(digest_bytes, artifact.blobs))
    for wrong in ({"artifactType": "x"}, {"layers": []}, {"layers": document["layers"] * 2}, {"schemaVersion": 1}):
        assert refused(envelope_of, canonical_json({**document, **wrong})) == "malformed"


class Publisher:
    def __init__(self, folder: Path, key: Any = TEAM) -> None:
        self.memory, self.key = Memory(folder), key

    def pushes(self, where: Shelf, it: Any, *trusted: Any, **how: Any) -> Index:
        keys = [(key.public,) for key in trusted]
        return publish(where, lambda index: listing(index, it, SIZE), self.key, keys, self.memory, NOW, **how)


def test_publishing_makes_an_index_and_adds_to_it(tmp_path: Path) -> None:
    where, team = Shelf(), Publisher(tmp_path)
    assert team.pushes(where, ONE).serial == 1
    index = team.pushes(where, TWO)
    assert (index.serial, list(index.releases)) == (2, ["1.0.0", "2.0.0"])
    assert where.envelope == seal(index, TEAM)


def test_a_publisher_does_not_sign_over_what_an_attacker_put_there(tmp_path: Path) -> None:
    team, evil = Publisher(tmp_path), release("9.0.0", b"evil")
    assert refused(team.pushes, Shelf(envelope=sealed(evil, by=STRANGER)), ONE) == "wrong-key"
    assert refused(team.pushes, Shelf(envelope=b"rubbish"), ONE) == "malformed"
    elsewhere = seal(index_of(evil, repository="ghcr.io/team-staging/raccoon"), TEAM)
    assert refused(team.pushes, Shelf(envelope=elsewhere), ONE) == "wrong-repository"
    where = Shelf()
    team.pushes(where, ONE)
    first = where.envelope
    team.pushes(where, TWO)
    where.envelope = first
    assert refused(team.pushes, where, release("3.0.0")) == "rollback"
    assert where.envelope == first
    where.envelope = None
    assert refused(team.pushes, where, release("3.0.0")) == "no-index"


def test_an_expired_index_is_renewed_only_by_who_says_so(tmp_path: Path) -> None:
    old = index_of(ONE, serial=3, issued=NOW - 100 * DAY, days=90)
    where = Shelf(envelope=seal(old, TEAM))
    assert refused(Publisher(tmp_path).pushes, where, TWO) == "expired"
    assert where.envelope == seal(old, TEAM)
    assert Publisher(tmp_path).pushes(where, TWO, expired=True).serial == 4


def test_a_machine_that_remembers_nothing_is_told_what_is_the_least(tmp_path: Path) -> None:
    team, where = Publisher(tmp_path), Shelf(envelope=sealed(ONE, serial=3))
    assert refused(team.pushes, where, TWO, at_least=4) == "rollback"
    assert refused(team.pushes, Shelf(), TWO, at_least=1) == "no-index"
    assert team.pushes(where, TWO, at_least=3).serial == 4


def test_a_key_of_each_settings_file_must_have_signed_what_is_there(tmp_path: Path) -> None:
    where = Shelf(envelope=sealed(ONE, by=OTHER))
    assert refused(Publisher(tmp_path).pushes, where, TWO, OTHER, STRANGER) == "wrong-key"
    assert Publisher(tmp_path).pushes(where, TWO, OTHER, OTHER).serial == 2


def test_a_new_key_takes_over_where_the_old_one_is_still_trusted(tmp_path: Path) -> None:
    where = Shelf(envelope=sealed(ONE, by=OTHER))
    assert refused(Publisher(tmp_path).pushes, where, TWO) == "wrong-key"
    assert Publisher(tmp_path).pushes(where, TWO, OTHER).serial == 2
    assert open_index(where.envelope or b"", (TEAM.public,)).index.serial == 2


def test_a_publisher_that_was_overtaken_adds_to_what_the_other_one_wrote(tmp_path: Path) -> None:
    theirs = sealed(ONE, serial=1)
    where = Shelf(interfering=[theirs])
    index = Publisher(tmp_path).pushes(where, TWO)
    assert (index.serial, list(index.releases)) == (2, ["1.0.0", "2.0.0"])
    always = Shelf(interfering=[sealed(ONE, serial=number) for number in range(1, 9)])
    assert refused(Publisher(tmp_path / "other").pushes, always, TWO) == "overtaken"


def test_a_failed_write_leaves_no_memory_of_an_index_that_never_was(tmp_path: Path) -> None:
    class Full(Shelf):
        def write(self, envelope: bytes) -> None:
            raise IntegrityError("full")

    with pytest.raises(IntegrityError, match="full"):
        Publisher(tmp_path).pushes(Full(), ONE)
    assert Publisher(tmp_path).pushes(Shelf(), ONE).serial == 1


def test_an_index_that_nobody_could_read_is_not_signed(tmp_path: Path) -> None:
    where = Shelf()
    assert refused(Publisher(tmp_path).pushes, where, release("not-semantic")) == "malformed"
    assert where.envelope is None
