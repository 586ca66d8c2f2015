from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.configuration import Configuration, configurations, parse_settings
from builder.errors import IntegrityError, UsageError
from builder.trust import dsse
from builder.trust.keys import new_key
from builder.trust.origin import origin_of
from builder.trust.policy import Decision, Origin, Policy, decide, load_policy
from builder.trust.statement import PAYLOAD_TYPE, Subject
from tests.trust.pieces import OTHER, PLACE, POLICY, STRANGER, TEAM, release, rule, signed, statement

REGISTRY, FOLDER, OWN = Origin("registry", PLACE), Origin("folder", "/media/stick"), Origin("own", "releases")
IT = release()


def code(policy: Policy, origin: Origin, *envelopes: bytes, subject: Subject = IT, asked: bool = False) -> str:
    with pytest.raises(IntegrityError) as caught:
        decide(policy, subject, origin, envelopes, allow_unsigned=asked)
    assert caught.value.exit_status == 7
    assert caught.value.help
    return caught.value.code


def allowed(policy: Policy, origin: Origin, *envelopes: bytes, asked: bool = False) -> Decision:
    return decide(policy, IT, origin, envelopes, allow_unsigned=asked)


@pytest.mark.parametrize("origin", [REGISTRY, FOLDER, OWN])
def test_a_trusted_signature_lets_a_release_in_and_says_whose(origin: Origin) -> None:
    decision = allowed(POLICY, origin, signed(IT))
    assert (decision.how, decision.keys) == ("signed", (TEAM.public,))
    assert TEAM.public.id[:12] in decision.text


@pytest.mark.parametrize("origin", [REGISTRY, FOLDER, OWN])
def test_a_covered_release_needs_a_signature_whatever_is_asked_for(origin: Origin) -> None:
    for asked in (False, True):
        assert code(POLICY, origin, asked=asked) == "unsigned"
        assert code(POLICY, origin, dsse.sign(PAYLOAD_TYPE, statement(IT), []), asked=asked) == "unsigned"
        assert code(POLICY, origin, signed(IT, STRANGER), asked=asked) == "wrong-key"


def test_a_signature_of_another_release_or_version_or_name_is_refused() -> None:
    assert code(POLICY, REGISTRY, signed(release("2.0.0"))) == "wrong-subject"
    assert code(POLICY, REGISTRY, signed(release(content=b"other"))) == "wrong-subject"
    same_digest = Subject("raccoon", "9.0.0", IT.digest)
    assert code(POLICY, REGISTRY, signed(same_digest)) == "wrong-subject"


def test_a_signed_statement_that_is_no_provenance_endorses_nothing() -> None:
    failed = signed(IT, TEAM, predicate_type="https://in-toto.io/attestation/test-result/v0.1")
    assert code(POLICY, REGISTRY, failed) == "wrong-type"
    assert code(POLICY, REGISTRY, dsse.sign("application/x", statement(IT), [TEAM])) == "wrong-type"


def test_rubbish_beside_a_good_provenance_does_not_matter_but_has_a_limit() -> None:
    assert allowed(POLICY, REGISTRY, b"rubbish", signed(IT, STRANGER), signed(release("2.0.0")), signed(IT)).keys
    assert code(POLICY, REGISTRY, b"rubbish") == "malformed"
    assert code(POLICY, REGISTRY, *[signed(IT)] * 17) == "malformed"


def test_a_threshold_counts_keys_over_envelopes_of_one_payload() -> None:
    policy = Policy(((rule(keys=[TEAM.public, OTHER.public], threshold=2),),))
    assert len(allowed(policy, REGISTRY, signed(IT, TEAM, OTHER)).keys) == 2
    assert len(allowed(policy, REGISTRY, signed(IT, TEAM), signed(IT, OTHER)).keys) == 2
    assert code(policy, REGISTRY, signed(IT, TEAM)) == "wrong-key"
    assert code(policy, REGISTRY, signed(IT, TEAM), signed(IT, TEAM)) == "wrong-key"
    assert code(policy, REGISTRY, signed(IT, TEAM), signed(release("2.0.0"), OTHER)) == "wrong-key"


def test_what_no_rule_covers_is_ones_own_or_refused_or_asked_for() -> None:
    policy = Policy(((rule(names=["other-*"]),),))
    for nothing in (Policy(), policy):
        assert allowed(nothing, OWN).how == "own"
        assert code(nothing, REGISTRY) == code(nothing, FOLDER, signed(IT)) == "untrusted-name"
        decision = allowed(nothing, REGISTRY, asked=True)
        assert (decision.how, decision.keys) == ("asked", ())
        assert "NOT verified" in decision.text


def test_what_was_pulled_under_a_rule_with_registries_still_needs_its_signature() -> None:
    first, second = rule(registries=["ghcr.io/team/*"]), rule(registries=["quay.io/*"], keys=[OTHER.public])
    policy = Policy(((first, second),))
    assert allowed(policy, OWN, signed(IT)).keys == (TEAM.public,)
    assert allowed(policy, OWN, signed(IT, OTHER)).keys == (OTHER.public,)
    assert code(policy, OWN) == "unsigned"
    assert code(policy, OWN, signed(IT, STRANGER)) == "wrong-key"
    # One that is about releases from anywhere decides; those after it do not.
    assert code(Policy(((rule(), second),)), OWN, signed(IT, OTHER)) == "wrong-key"
    assert code(Policy(((first,), (rule(keys=[OTHER.public]),))), OWN, signed(IT)) == "wrong-key"


def test_a_layout_is_the_projects_own_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINSMITH_RELEASES", raising=False)
    (tmp_path / "link").symlink_to("releases")
    assert {origin_of(Path(text)).kind for text in ("releases", "./x/../releases", "link")} == {"own"}
    assert origin_of(tmp_path / "releases").kind == "own"
    assert {origin_of(Path(text)).kind for text in ("mirror", "releases/x", ".")} == {"folder"}
    monkeypatch.setenv("TINSMITH_RELEASES", "mirror")
    assert origin_of(Path("mirror")).kind == "own"


def test_rules_of_other_registries_neither_help_nor_are_passed_over() -> None:
    policy = Policy(((rule(registries=["ghcr.io/team/*"]),),))
    assert allowed(policy, REGISTRY, signed(IT)).keys
    for place in ("evil.io/team/raccoon", "ghcr.io/team/deep/raccoon", "ghcr.io.evil.io/team/raccoon"):
        assert code(policy, Origin("registry", place), signed(IT), asked=True) == "wrong-origin"
    assert code(policy, FOLDER, signed(IT)) == "wrong-origin"
    deep = Policy(((rule(registries=["ghcr.io/**"]),),))
    assert allowed(deep, Origin("registry", "ghcr.io/team/deep/raccoon"), signed(IT)).keys


def test_the_first_rule_of_a_file_decides_and_every_file_has_to_agree() -> None:
    first = (rule(keys=[OTHER.public]), rule(keys=[TEAM.public]))
    assert code(Policy((first,)), REGISTRY, signed(IT, TEAM)) == "wrong-key"
    assert allowed(Policy((first,)), REGISTRY, signed(IT, OTHER)).keys
    project, user = (rule(keys=[STRANGER.public]),), (rule(keys=[TEAM.public]),)
    assert code(Policy((project, user)), REGISTRY, signed(IT, STRANGER)) == "wrong-key"
    both = allowed(Policy((project, user)), REGISTRY, signed(IT, STRANGER), signed(IT, TEAM))
    assert set(both.keys) == {STRANGER.public, TEAM.public}


def test_rules_are_read_with_their_keys(tmp_path: Path) -> None:
    made, _, _ = new_key("team", tmp_path / "keys")
    pem = TEAM.public.pem.decode()
    text = f"""
[[trust]]
names = ["raccoon-*", "shapes"]
registries = ["ghcr.io/team/*"]
keys = ["keys/team.pub", {json.dumps(pem)}]
threshold = 2

[[trust]]
names = ["*"]
keys = ["keys/team.pub"]
index_keys = [{json.dumps(pem)}]
index = false
"""
    found = Configuration(tmp_path / "tinsmith.toml", parse_settings(text.encode(), "tinsmith.toml"))
    ((first, second),) = load_policy([found]).files
    assert first.keys == first.index_keys == (made.public, TEAM.public)
    assert (first.threshold, first.index, second.index) == (2, True, False)
    assert (second.keys, second.index_keys) == ((made.public,), (TEAM.public,))


@pytest.mark.parametrize(
    ("rule_text", "says"),
    [
        ('names = ["x"]\nkeys = ["absent.pub"]', "absent.pub"),
        ('names = ["x"]\nkeys = ["a.pub", "a.pub"]\nthreshold = 2', "1 different key"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_an_error(tmp_path: Path, rule_text: str, says: str) -> None:
    (tmp_path / "a.pub").write_bytes(TEAM.public.pem)
    settings = parse_settings(f"[[trust]]\n{rule_text}".encode(), "tinsmith.toml")
    with pytest.raises(UsageError, match=says):
        load_policy([Configuration(tmp_path / "tinsmith.toml", settings)])


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ('\n[sign]\nkey = "x"\nkeey = "y"\n', ":4", "did you mean"),
        ('[sing]\nkey = "x"', ":1", "did you mean 'sign'"),
        ('[[trust]]\nnames = ["a"]\nkeys = ["k"]\n\n[[trust]]\nnames = ["b"]\nkyes = ["k"]', ":7", "kyes"),
        ('[[trust]]\nnames = ["a"]\nkeys = ["k"]\nthreshold = "2"', ":4", "trust.threshold"),
        ('[[trust]]\nnames = ["a[b]"]\nkeys = ["k"]', ":2", "trust.names"),
        ('[[trust]]\nnames = []\nkeys = ["k"]', ":2", "trust.names"),
        ("[sign]\nkey = 1\n", ":2", "sign.key"),
        ("a = = 1", "line 1", "TOML"),
        ("a = " + "[" * 5000, "tinsmith.toml", "TOML"),
        ("\ufeff", "tinsmith.toml", "TOML"),
    ],
)
def test_settings_are_strict_and_errors_have_their_place(text: str, place: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings(text.encode(), "tinsmith.toml")
    told = f"{caught.value.message} {caught.value.help}"
    assert place in told
    assert says in told


def test_settings_are_found_above_and_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "project" / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert configurations(inner) == ()
    (tmp_path / "project" / "tinsmith.toml").write_text('[sign]\nkey = "k.pem"')
    (tmp_path / "config" / "tinsmith").mkdir(parents=True)
    (tmp_path / "config" / "tinsmith" / "tinsmith.toml").write_text('[sign]\nkey = "/h.pem"')
    project, user = configurations(inner)
    assert project.settings.sign.key is not None
    assert project.file(project.settings.sign.key) == tmp_path / "project" / "k.pem"
    assert user.settings.sign.key is not None
    assert user.file(user.settings.sign.key) == Path("/h.pem")
