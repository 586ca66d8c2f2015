"""The attacks of The Update Framework's list that concern what is read; how much and how long is the transport's."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from builder.errors import IntegrityError, StoreUnreachable
from builder.trust.admit import Proposal, Report, admit, current_index
from builder.trust.index import Index, revoking, seal
from builder.trust.memory import Memory
from builder.trust.policy import Origin, Policy
from builder.trust.statement import Subject
from tests.trust.pieces import (
    DAY,
    NOW,
    OTHER,
    PLACE,
    POLICY,
    SIZE,
    STRANGER,
    TEAM,
    index_of,
    release,
    rule,
    sealed,
    signed,
)

ONE, TWO = release("1.0.0"), release("2.0.0")


def offer(
    it: Subject = ONE,
    index: bytes | None = None,
    *,
    version: str | None = "as released",
    name: str = "raccoon",
    place: str = PLACE,
    kind: str = "registry",
    by: bytes | None = None,
    size: int = SIZE,
) -> Proposal:
    asked = it.version if version == "as released" else version
    origin = Origin("registry", place) if kind == "registry" else Origin("folder", place)
    return Proposal(origin, it, size, name, asked, (by if by is not None else signed(it),), index)


class Machine:
    """Somebody who pulls, with a memory."""

    def __init__(self, folder: Path, policy: Policy = POLICY) -> None:
        self.memory, self.policy, self.now = Memory(folder), policy, NOW

    def takes(self, it: Proposal, *, allow_unsigned: bool = False) -> Report:
        return admit(self.policy, it, self.memory, self.now, allow_unsigned=allow_unsigned)

    def refuses(self, it: Proposal, *, allow_unsigned: bool = False) -> str:
        with pytest.raises(IntegrityError) as caught:
            self.takes(it, allow_unsigned=allow_unsigned)
        assert caught.value.exit_status == 7
        assert caught.value.help
        return caught.value.code


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "state")


def test_an_honest_release_is_taken_again_and_again(machine: Machine) -> None:
    report = machine.takes(offer(ONE, sealed(ONE)))
    assert [(check.name, check.ok) for check in report.checks] == [
        ("name", True), ("signature", True), ("index", True), ("memory", True)
    ]  # fmt: skip
    machine.takes(offer(ONE, sealed(ONE)))
    machine.takes(offer(TWO, sealed(ONE, TWO, serial=2)))
    machine.takes(offer(ONE, sealed(ONE, TWO, serial=2)))


def test_rollback_an_older_index_is_refused_by_another_process_too(machine: Machine, tmp_path: Path) -> None:
    machine.takes(offer(TWO, sealed(ONE, TWO, serial=5)))
    again = Machine(tmp_path / "state")
    assert again.refuses(offer(ONE, sealed(ONE, serial=4))) == "rollback"
    assert again.refuses(offer(ONE, None)) == "no-index"
    again.takes(offer(ONE, sealed(ONE, TWO, serial=6)))


def test_an_index_counts_as_seen_even_if_its_release_was_refused(machine: Machine) -> None:
    assert machine.refuses(offer(ONE, sealed(TWO, serial=5))) == "not-listed"
    assert machine.refuses(offer(ONE, sealed(ONE, serial=4))) == "rollback"


def test_an_index_nobody_trusted_signed_leaves_no_trace(machine: Machine) -> None:
    assert machine.refuses(offer(ONE, sealed(ONE, by=STRANGER, serial=99))) == "wrong-key"
    machine.takes(offer(ONE, sealed(ONE)))


def test_another_index_of_the_same_number_is_refused(machine: Machine) -> None:
    machine.takes(offer(ONE, sealed(ONE, serial=3)))
    assert machine.refuses(offer(ONE, sealed(ONE, TWO, serial=3))) == "forked"


def test_freeze_an_expired_index_is_refused_except_for_a_digest(machine: Machine) -> None:
    machine.now = NOW + 90 * DAY - datetime.timedelta(seconds=1)
    machine.takes(offer(ONE, sealed(ONE)))
    machine.now = NOW + 90 * DAY
    assert machine.refuses(offer(ONE, sealed(ONE))) == "expired"
    machine.takes(offer(ONE, sealed(ONE), version=None))
    machine.takes(offer(ONE, sealed(ONE, serial=2, days=91)))


def test_a_clock_that_was_set_back_is_noticed(machine: Machine) -> None:
    machine.now = NOW - 2 * DAY
    assert machine.refuses(offer(ONE, sealed(ONE))) == "clock"
    machine.now = NOW - DAY / 2
    machine.takes(offer(ONE, sealed(ONE)))


def test_mix_and_match_a_release_other_than_the_listed_one_is_refused(machine: Machine) -> None:
    other = release("1.0.0", b"other")
    assert machine.refuses(offer(other, sealed(ONE))) == "mix-and-match"
    assert machine.refuses(offer(ONE, sealed(ONE), size=SIZE + 1)) == "mix-and-match"
    assert machine.refuses(offer(other, sealed(ONE), version=None)) == "mix-and-match"
    assert machine.refuses(offer(TWO, sealed(ONE))) == "not-listed"


def test_wrong_name_another_release_under_the_asked_name_or_tag_is_refused(machine: Machine) -> None:
    assert machine.refuses(offer(ONE, sealed(ONE, TWO), version="2.0.0")) == "wrong-name"
    squirrel = release(name="raccoon-squirrel")
    assert machine.refuses(offer(squirrel, sealed(ONE))) == "wrong-name"
    machine.takes(offer(ONE, sealed(ONE), version=None))


def test_the_index_of_another_repository_is_refused(machine: Machine) -> None:
    elsewhere = "ghcr.io/team-staging/raccoon"
    foreign = seal(index_of(ONE, repository=elsewhere), TEAM)
    assert machine.refuses(offer(ONE, foreign)) == "wrong-repository"
    machine.takes(offer(ONE, foreign, place=elsewhere))


def test_moved_tag_a_version_keeps_its_digest_with_and_without_signatures(tmp_path: Path) -> None:
    moved = release("1.0.0", b"moved")
    for number, policy in enumerate((Policy(), Policy(((rule(index=False),),)))):
        machine = Machine(tmp_path / str(number), policy)
        machine.takes(offer(ONE), allow_unsigned=True)
        assert machine.refuses(offer(moved), allow_unsigned=True) == "moved-tag"
        machine.takes(offer(ONE), allow_unsigned=True)


def test_moved_tag_in_the_index_itself(machine: Machine) -> None:
    machine.takes(offer(ONE, sealed(ONE)))
    moved = release("1.0.0", b"moved")
    assert machine.refuses(offer(moved, sealed(moved, serial=2))) == "moved-tag"
    assert machine.refuses(offer(TWO, sealed(moved, TWO, serial=3))) == "moved-tag"


def test_unsigned_and_wrong_keys_are_refused_before_anything_is_remembered(machine: Machine) -> None:
    assert machine.refuses(offer(ONE, sealed(ONE), by=signed(ONE, STRANGER)), allow_unsigned=True) == "wrong-key"
    assert machine.refuses(offer(ONE, sealed(ONE), by=signed(TWO))) == "wrong-subject"
    assert not (machine.memory.folder / "trust").exists()


def test_a_registry_that_a_rule_covers_needs_an_index_unless_the_rule_or_a_digest_says_otherwise(
    machine: Machine, tmp_path: Path
) -> None:
    assert machine.refuses(offer(ONE)) == "no-index"
    machine.takes(offer(ONE, version=None))
    relaxed = Machine(tmp_path / "relaxed", Policy(((rule(index=False),),)))
    assert [check.ok for check in relaxed.takes(offer(ONE)).checks if check.name == "index"] == [None]
    assert relaxed.refuses(offer(ONE, sealed(ONE, by=STRANGER))) == "wrong-key"


def test_a_folder_needs_no_index_and_one_there_is_believed_whatever_its_registry(machine: Machine) -> None:
    machine.takes(offer(ONE, kind="folder", place="/media/stick"))
    machine.takes(offer(ONE, sealed(ONE), kind="folder", place="/media/stick"))
    assert machine.refuses(offer(ONE, kind="folder", place="/media/stick")) == "no-index"
    squirrels = seal(index_of(repository="ghcr.io/team/squirrel"), TEAM)
    assert machine.refuses(offer(ONE, squirrels, kind="folder", place="/media/other")) == "wrong-repository"


def test_the_index_may_have_keys_of_its_own_which_sign_no_releases(tmp_path: Path) -> None:
    machine = Machine(tmp_path, Policy(((rule(index_keys=[OTHER.public]),),)))
    machine.takes(offer(ONE, sealed(ONE, by=OTHER)))
    assert machine.refuses(offer(ONE, sealed(ONE, by=TEAM))) == "wrong-key"
    assert machine.refuses(offer(TWO, sealed(ONE, TWO, by=OTHER, serial=2), by=signed(TWO, OTHER))) == "wrong-key"


def test_revoked_versions_are_refused_by_tag_and_by_digest(machine: Machine) -> None:
    index = revoking(index_of(ONE, TWO), "1.0.0", "wrong labels")
    for version in ("1.0.0", None):
        assert machine.refuses(offer(ONE, seal(index, TEAM), version=version)) == "revoked"
    machine.takes(offer(TWO, seal(index, TEAM)))


@pytest.mark.parametrize(
    "broken", [b"rubbish", sealed(ONE, by=STRANGER), seal(index_of(ONE, repository="a/raccoon"), TEAM)]
)
def test_a_broken_index_does_not_stand_in_the_way_of_a_digest(machine: Machine, broken: bytes) -> None:
    assert machine.refuses(offer(ONE, broken)) in ("malformed", "wrong-key", "wrong-repository")
    report = machine.takes(offer(ONE, broken, version=None))
    assert [check.ok for check in report.checks if check.name == "index"] == [None]


def test_what_no_rule_covers_is_taken_only_on_request_and_said_to_be_unverified(tmp_path: Path) -> None:
    machine = Machine(tmp_path, Policy())
    assert machine.refuses(offer(ONE, sealed(ONE))) == "untrusted-name"
    report = machine.takes(offer(ONE, sealed(ONE, by=STRANGER)), allow_unsigned=True)
    assert [(check.name, check.ok) for check in report.checks][1:3] == [("signature", None), ("index", None)]
    assert report.decision.how == "asked"


def test_ones_own_layout_is_neither_indexed_nor_remembered(machine: Machine) -> None:
    own = Proposal(Origin("own", "releases"), ONE, SIZE, "raccoon", "1.0.0", (signed(ONE),))
    machine.takes(own)
    assert not (machine.memory.folder / "trust").exists()


def test_a_damaged_memory_is_told_and_not_taken_for_an_empty_one(machine: Machine) -> None:
    machine.takes(offer(ONE, sealed(ONE)))
    (path,) = (machine.memory.folder / "trust").glob("*.json")
    path.write_bytes(path.read_bytes()[:-1])
    assert machine.refuses(offer(ONE, sealed(ONE))) == "malformed"


def test_a_state_folder_that_cannot_be_written_is_no_reason_to_forget(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    machine = Machine(tmp_path / "file")
    with pytest.raises(StoreUnreachable, match="cannot be kept"):
        machine.takes(offer(ONE, sealed(ONE)))


def test_many_versions_fit(machine: Machine) -> None:
    index = index_of(ONE)
    entry = index.releases["1.0.0"]
    many = {f"1.0.{number}": entry for number in range(1, 3000)}
    whole = Index.model_validate({**index.model_dump(by_alias=True), "releases": {**many, "1.0.0": entry}})
    machine.takes(offer(ONE, seal(whole, TEAM)))


def test_the_newest_version_is_the_newest_that_the_index_lists(machine: Machine) -> None:
    origin = Origin("registry", PLACE)

    def usable(index: bytes | None) -> tuple[str, ...]:
        found = current_index(machine.policy, origin, "raccoon", index, machine.memory, machine.now)
        assert found is not None
        return found.usable

    index = revoking(index_of(ONE, TWO, release("3.0.0")), "3.0.0", "wrong labels")
    assert usable(seal(index.model_copy(update={"serial": 7}), TEAM)) == ("1.0.0", "2.0.0")
    for older, code in ((sealed(ONE), "rollback"), (None, "no-index"), (sealed(ONE, by=STRANGER), "wrong-key")):
        with pytest.raises(IntegrityError) as caught:
            usable(older)
        assert caught.value.code == code
    assert current_index(Policy(), origin, "raccoon", sealed(ONE), machine.memory, machine.now) is None


def test_a_version_of_an_odd_form_does_not_spoil_the_memory(tmp_path: Path) -> None:
    machine = Machine(tmp_path, Policy())
    odd = release("1_0+x")
    for _ in range(2):
        machine.takes(offer(odd), allow_unsigned=True)
    assert machine.refuses(offer(release("1_0+x", b"moved")), allow_unsigned=True) == "moved-tag"
