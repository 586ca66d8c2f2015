"""Logins from Docker's configuration and its helpers, and what registries ask for."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from builder.errors import StoreUnreachable
from builder.registry import credentials
from builder.registry.auth import challenges
from builder.registry.credentials import Credentials, docker_credentials

AUTH = base64.b64encode(b"ann:pass:word").decode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def configure(home: Path, **config: Any) -> None:
    (home / "config.json").write_text(json.dumps(config))


def helper(home: Path, script: str) -> None:
    path = home / "docker-credential-test"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("key", ["reg.example.org", "https://reg.example.org", "https://reg.example.org/v2/"])
def test_a_login_of_the_configuration(home: Path, key: str) -> None:
    configure(home, auths={key: {"auth": AUTH}, "other.example.org": {"auth": "eA=="}})
    assert docker_credentials("reg.example.org") == Credentials("ann", "pass:word")
    assert docker_credentials("reg.example.org:5000") is None


def test_docker_hub_has_a_name_of_its_own(home: Path) -> None:
    configure(home, auths={"https://index.docker.io/v1/": {"username": "ann", "password": "x"}})
    assert docker_credentials("docker.io") == Credentials("ann", "x")


def test_a_token_that_buys_tokens(home: Path) -> None:
    configure(home, auths={"reg.example.org": {"auth": AUTH, "identitytoken": "abc"}})
    assert docker_credentials("reg.example.org") == Credentials("", "abc", is_token=True)


def test_no_configuration_is_no_login(home: Path) -> None:
    assert docker_credentials("reg.example.org") is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"auths": {"reg.example.org": {"auth": "?"}}}', "[" * 100_000])
def test_a_damaged_configuration(home: Path, text: str) -> None:
    (home / "config.json").write_text(text)
    with pytest.raises(StoreUnreachable) as caught:
        docker_credentials("reg.example.org")
    assert caught.value.help


def test_a_helper_is_asked_by_its_protocol(home: Path) -> None:
    configure(home, credHelpers={"reg.example.org": "test"}, auths={"reg.example.org": {"auth": AUTH}})
    answer = '{"ServerURL":"x","Username":"bob","Secret":"s"}'
    helper(home, f"[ $1 = get ] && read key; [ \"$key\" = reg.example.org ] && echo '{answer}'")
    assert docker_credentials("reg.example.org") == Credentials("bob", "s")


def test_a_helper_that_keeps_all_logins_may_not_know_one(home: Path) -> None:
    configure(home, credsStore="test")
    helper(home, "echo credentials not found in native keychain; exit 1")
    assert docker_credentials("reg.example.org") is None
    helper(home, """echo '{"Username":"<token>","Secret":"t"}'""")
    assert docker_credentials("reg.example.org") == Credentials("", "t", is_token=True)


@pytest.mark.parametrize(
    "script",
    ["echo no json", "echo '{}'", "echo '[]'", """echo '{"Username":1,"Secret":"x"}'""", "yes",
     "sleep 60", "sleep 60 & echo hi"],
)  # fmt: skip
def test_a_helper_that_misbehaves(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(credentials, "HELPER_SECONDS", 0.3)
    configure(home, credsStore="test")
    helper(home, script)
    with pytest.raises(StoreUnreachable):
        docker_credentials("reg.example.org")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "missing", 3])
def test_a_helper_that_cannot_be(home: Path, name: Any) -> None:
    configure(home, credHelpers={"reg.example.org": name or "-"})
    with pytest.raises(StoreUnreachable):
        docker_credentials("reg.example.org")


def test_secrets_are_not_printed() -> None:
    assert "pass" not in repr(Credentials("ann", "pass"))


def test_challenges() -> None:
    found = challenges(
        'Bearer realm="https://a/t?x=1,2",service="s \\"q\\"" , scope=repository:a:pull, Basic realm="b"'
    )
    assert found == {
        "bearer": {"realm": "https://a/t?x=1,2", "service": 's "q"', "scope": "repository:a:pull"},
        "basic": {"realm": "b"},
    }
    assert challenges("Basic") == {"basic": {}}
    assert challenges("") == challenges('="x"') == {}
