from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.digest import canonical_json
from builder.errors import IntegrityError, UsageError
from builder.rebuild.agreement import agreement
from builder.release.attached import signed_provenances, subject_of
from builder.release.release import Attachment
from builder.release.sign import attach_provenance, is_signed, sign_release
from builder.release.verify import verify_release
from builder.release.versions import LayoutIndex, listing_all
from builder.trust import dsse
from builder.trust.index import LIFETIME, open_index
from builder.trust.keys import SigningKey
from builder.trust.memory import Memory
from builder.trust.policy import Origin, Policy
from builder.trust.publish import publish
from builder.trust.statement import PAYLOAD_TYPE, SIGNED_PROVENANCE
from tests.trust.pieces import NOW, OTHER, STRANGER, TEAM, rule, signed
from tests.trust.recipes import Made, made

POLICY = Policy(((rule(names=["shapes"]),),))


@pytest.fixture
def built(tmp_path: Path) -> Made:
    return made("shapes", tmp_path / "releases")


def checks(it: Made, policy: Policy = POLICY, origin: Origin | None = None) -> dict[str, bool | None]:
    return {check.name: check.ok for check in verify_release(it.layout, it.release, policy, origin)}


def sign(it: Made, key: SigningKey, *trusted: SigningKey) -> Attachment:
    """As the command does."""
    agrees = agreement(it.layout, it.release)
    return sign_release(it.layout, it.release, key, agrees, [each.public for each in trusted])


GOOD = {"signature": True, "files": True, "provenance": True, "recipe": True}


def test_a_release_built_with_a_key_is_signed_at_once(built: Made) -> None:
    attach_provenance(built.layout, built.release, built.statement, TEAM)
    assert checks(built) == GOOD
    assert checks(built, origin=Origin("folder", "/media/stick")) == GOOD


def test_a_release_built_without_a_key_is_signed_later(built: Made) -> None:
    attach_provenance(built.layout, built.release, built.statement, None)
    assert checks(built) == {**GOOD, "signature": False}
    assert checks(built, Policy()) == {**GOOD, "signature": None}
    sign(built, TEAM)
    assert checks(built) == GOOD
    assert built.layout.find("shapes") == built.release


def test_signatures_add_up_and_signing_twice_changes_nothing(built: Made) -> None:
    attach_provenance(built.layout, built.release, built.statement, TEAM)
    again = sign(built, TEAM)
    assert [item for item in built.layout.attachments(built.release) if item.artifact_type == SIGNED_PROVENANCE] == [
        again
    ]
    sign(built, OTHER)
    two = Policy(((rule(names=["shapes"], keys=[TEAM.public, OTHER.public], threshold=2),),))
    assert checks(built, two) == GOOD
    assert len(signed_provenances(built.layout, built.release)) == 2


def test_a_release_without_provenance_has_nothing_to_sign(built: Made) -> None:
    with pytest.raises(UsageError) as caught:
        sign(built, TEAM)
    assert caught.value.code == "no-provenance"
    assert checks(built) == {"signature": False, "files": True, "provenance": None, "recipe": None}


def test_nobody_signs_a_damaged_release_or_a_provenance_of_another(built: Made) -> None:
    other = made("shapes", built.layout.root, "9.9.9")
    with pytest.raises(IntegrityError) as caught:
        attach_provenance(built.layout, built.release, other.statement, TEAM)
    assert caught.value.code == "wrong-subject"
    foreign = built.layout.attach(built.release, PAYLOAD_TYPE, "provenance.json", canonical_json(other.statement))
    assert foreign in built.layout.attachments(built.release)
    with pytest.raises(IntegrityError, match="not signed"):
        sign(built, TEAM)
    attach_provenance(other.layout, other.release, other.statement, None)
    digest, _ = other.release.files["model.tflite"]
    other.layout.blob_path(digest).write_bytes(b"TFL4")
    assert checks(other)["files"] is False
    with pytest.raises(IntegrityError, match="not signed"):
        sign(other, TEAM)
    assert signed_provenances(other.layout, other.release) == []


def test_a_provenance_that_names_other_files_or_another_manifest_is_found(built: Made) -> None:
    short = signed(subject_of(built.release))
    built.layout.attach(built.release, SIGNED_PROVENANCE, "provenance.dsse.json", short)
    assert checks(built) == {"signature": True, "files": True, "provenance": False, "recipe": False}


def test_a_provenance_of_another_manifest_is_found(built: Made) -> None:
    statement = {**built.statement, "predicate": {"buildDefinition": {"externalParameters": {"manifestDigest": "x"}}}}
    built.layout.attach(
        built.release, SIGNED_PROVENANCE, "provenance.dsse.json",
        dsse.sign(PAYLOAD_TYPE, canonical_json(statement), [TEAM]),
    )  # fmt: skip
    assert checks(built) == {**GOOD, "recipe": False}


def test_a_layout_lists_its_signed_releases_in_an_index_of_its_own(built: Made, tmp_path: Path) -> None:
    where, memory = LayoutIndex(built.layout, "shapes"), Memory(tmp_path / "state")

    def renew() -> int:
        change = lambda index: listing_all(index, built.layout, TEAM.public)  # noqa: E731
        return publish(where, change, TEAM, [], memory, NOW, lifetime=LIFETIME).serial

    attach_provenance(built.layout, built.release, built.statement, None)
    with pytest.raises(UsageError) as caught:
        renew()
    assert caught.value.code == "unsigned"
    sign(built, STRANGER)
    with pytest.raises(UsageError):
        renew()
    sign(built, TEAM)
    assert renew() == 1
    later = made("shapes", built.layout.root, "9.9.9")
    attach_provenance(later.layout, later.release, later.statement, TEAM)
    assert renew() == 2
    opened = open_index(where.read() or b"", (TEAM.public,))
    listed = {version: item.digest for version, item in opened.index.releases.items()}
    assert listed == {built.release.version: built.release.digest, "9.9.9": later.release.digest}
    assert [item.version for item in built.layout.releases()] == [built.release.version, "9.9.9"]


def forged(it: Made, path: tuple[str, ...], value: object) -> bytes:
    """The provenance of ``it`` with something else in its predicate."""
    document = json.loads(canonical_json(it.statement))
    inner = document["predicate"]
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return canonical_json(document)


FORGERIES = [
    (("runDetails", "builder", "id"), "https://evil.example/", "wrong-builder"),
    (("buildDefinition", "resolvedDependencies"), [], "wrong-recipe"),
    (("buildDefinition", "internalParameters", "threads"), {"train": 99}, "wrong-recipe"),
    (("runDetails", "approved"), True, "wrong-recipe"),
    (("runDetails", "byproducts"), "none", "wrong-recipe"),
    (("runDetails", "metadata", "startedOn"), ["2026"], "wrong-recipe"),
]


@pytest.mark.parametrize(("path", "value", "code"), FORGERIES)
def test_what_an_attacker_wrote_is_never_signed(built: Made, path: tuple[str, ...], value: object, code: str) -> None:
    bad = forged(built, path, value)
    built.layout.attach(built.release, SIGNED_PROVENANCE, "evil.json", dsse.sign(PAYLOAD_TYPE, bad, [STRANGER, OTHER]))
    with pytest.raises(IntegrityError) as caught:
        sign(built, TEAM)
    assert caught.value.code == code
    assert not is_signed(built.layout, built.release, TEAM.public)
    attach_provenance(built.layout, built.release, built.statement, None)
    envelope = dsse.parse(built.layout.read_attachment(sign(built, TEAM)))
    assert envelope.payload == canonical_json(built.statement)
    assert dsse.signers(envelope, [TEAM.public])


def test_signatures_of_nobody_are_left_behind_and_do_not_stand_in_the_way(built: Made) -> None:
    payload = canonical_json(built.statement)
    noise = [dsse.Signature("", bytes([number]) * 64) for number in range(dsse.MOST_SIGNATURES)]
    attach_provenance(built.layout, built.release, built.statement, OTHER)
    for number, data in enumerate((dsse.sign(PAYLOAD_TYPE, payload, [], noise), b"rubbish")):
        built.layout.attach(built.release, SIGNED_PROVENANCE, f"{number}.json", data)
    envelope = dsse.parse(built.layout.read_attachment(sign(built, TEAM, OTHER)))
    assert len(envelope.signatures) == 2
    assert dsse.signers(envelope, [TEAM.public, OTHER.public]) == (TEAM.public, OTHER.public)
    assert is_signed(built.layout, built.release, TEAM.public)


def test_of_several_provenances_the_one_that_somebody_trusted_signed_is_meant(built: Made) -> None:
    later = forged(built, ("runDetails", "metadata", "startedOn"), "2030-01-01T00:00:00Z")
    built.layout.attach(built.release, PAYLOAD_TYPE, "later.json", later)
    attach_provenance(built.layout, built.release, built.statement, None)
    with pytest.raises(UsageError) as caught:
        sign(built, TEAM)
    assert caught.value.code == "ambiguous"
    attach_provenance(built.layout, built.release, built.statement, OTHER)
    assert dsse.parse(built.layout.read_attachment(sign(built, TEAM, OTHER))).payload == canonical_json(built.statement)


def test_the_signature_of_another_release_is_not_one_of_this(built: Made) -> None:
    foreign = signed(subject_of(made("shapes", built.layout.root, "9.9.9").release))
    built.layout.attach(built.release, SIGNED_PROVENANCE, "provenance.dsse.json", foreign)
    assert not is_signed(built.layout, built.release, TEAM.public)
