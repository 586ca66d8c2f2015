"""Signed releases in a real registry that somebody hostile holds: what is pulled is what was published, or nothing."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.cli import main
from builder.errors import TinsmithError
from builder.registry.client import Registry
from builder.registry.credentials import anonymous
from builder.registry.gate import Asked, Gate
from builder.registry.index import RegistryIndex
from builder.registry.pull import find
from builder.registry.reference import Remote
from builder.release.document import MANIFEST_TYPE, referrers_tag
from builder.release.layout import Layout
from builder.trust.index import INDEX_TAG
from builder.trust.memory import Memory
from builder.trust.policy import Origin, load_policy
from tests.registries import Running, required, running
from tests.trust.recipes import made

NAME = "shapes"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    required("docker-registry")
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


class World:
    """A publisher with a key and two versions, and a user who trusts that key, each in a folder of their own."""

    def __init__(self, root: Path, server: Running, run: Callable[..., tuple[int, str]]) -> None:
        self.root, self.server, self._run = root, server, run
        self.place = f"{server.host}/{root.name.replace('_', '-').lower()}/{NAME}"
        self.remote = Remote(server.host, self.place.partition("/")[2])
        for version in ("1.0.0", "1.1.0"):
            built = made(NAME, root / "publisher" / "releases", version)
            built.layout.attach(
                built.release, "application/vnd.in-toto+json", "provenance.json", json.dumps(built.statement).encode()
            )
        self.publisher("key", "new", "team", "-o", "keys")
        self.publisher("key", "new", "other", "-o", "keys")
        self.trusts("team")

    def trusts(self, key: str) -> None:
        (self.root / "user").mkdir(exist_ok=True)
        rule = f'[[trust]]\nnames = ["{NAME}"]\nkeys = ["../publisher/keys/{key}.pub"]\n'
        (self.root / "user" / "tinsmith.toml").write_text(rule)
        (self.root / "publisher" / "tinsmith.toml").write_text(rule.replace("../publisher/", ""))

    def publisher(self, *words: str, status: int = 0) -> str:
        return self._as("publisher", words, status)

    def user(self, *words: str, status: int = 0) -> str:
        return self._as("user", words, status)

    def push(self, version: str, key: str = "team") -> None:
        self.publisher("push", f"{NAME}@{version}", self.place, "--key", f"keys/{key}.key")

    def refused(self, reference: str, code: str) -> None:
        """That a pull ends with exit 7 for this reason, and writes nothing."""
        assert f"error[{code}]" in self.user("pull", reference, "app", status=7)
        assert not (self.root / "user" / "app").exists()

    def registry(self) -> Registry:
        return Registry(self.server.host, lookup=anonymous)

    def put(self, tag: str, data: bytes) -> None:
        """Points ``tag`` to another manifest, as whoever holds a registry can."""
        with self.registry() as registry:
            registry.put_manifest(self.remote.repository, tag, data, MANIFEST_TYPE)

    def get(self, tag: str) -> bytes:
        with self.registry() as registry:
            data = registry.manifest(self.remote.repository, tag)
        assert data is not None
        return data

    def _as(self, who: str, words: tuple[str, ...], status: int) -> str:
        (self.root / who).mkdir(exist_ok=True)
        found, said = self._run(self.root / who, words)
        assert found == status, said
        return said


@pytest.fixture
def world(
    tmp_path: Path, server: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> World:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(folder: Path, words: tuple[str, ...]) -> tuple[int, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("TINSMITH_STATE", str(folder / "state"))
        monkeypatch.setenv("TINSMITH_CACHE", str(folder / "cache"))
        monkeypatch.setattr(sys, "argv", ["tinsmith", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0), "".join(capsys.readouterr())

    return World(tmp_path, server, run)


def test_what_a_trusted_key_signed_is_pulled_and_the_index_chooses_its_version(world: World) -> None:
    world.push("1.0.0")
    world.push("1.1.0")
    said = world.user("pull", f"{world.place}@^1.0", "app")
    assert "signature: provenance signed by" in said
    assert "index: number 2" in said
    assert (world.root / "user" / "app" / "model.tflite").read_bytes() == b"TFL3"
    assert f"{NAME}@1.1.0" in world.user("pull", world.place)  # the newest, into the user's own releases
    assert "signature" in world.user("pull", f"{NAME}@1.1.0", "copy")
    assert "1.1.0" in world.user("index", "show", world.place)
    digest = Layout(world.root / "publisher" / "releases").find(f"{NAME}@1.0.0").digest
    world.user("pull", f"{world.place}@{digest}", "pinned")


def test_without_a_rule_nothing_is_taken_unless_it_is_asked_for(world: World) -> None:
    world.push("1.0.0")
    (world.root / "user" / "tinsmith.toml").unlink()
    world.refused(f"{world.place}:1.0.0", "untrusted-name")
    assert "NOT verified" in world.user("pull", f"{world.place}:1.0.0", "app", "--allow-unsigned")


def test_unsigned_and_wrongly_signed_releases_are_refused(world: World) -> None:
    world.publisher("push", f"{NAME}@1.0.0", world.place)
    world.refused(f"{world.place}:1.0.0", "unsigned")
    assert "error[unsigned]" in world.user("pull", f"{world.place}:1.0.0", "app", "--allow-unsigned", status=7)
    world.push("1.0.0", key="other")
    world.refused(f"{world.place}:1.0.0", "wrong-key")


def test_signatures_taken_away_are_missed(world: World) -> None:
    world.push("1.0.0")
    release = Layout(world.root / "publisher" / "releases").find(f"{NAME}@1.0.0")
    empty = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []})
    with world.registry() as registry:
        registry.put_manifest(
            world.remote.repository, referrers_tag(release.digest), empty.encode(), json.loads(empty)["mediaType"]
        )
    world.refused(f"{world.place}:1.0.0", "unsigned")


def test_a_moved_tag_is_refused_with_the_index_and_with_the_memory(world: World) -> None:
    world.push("1.0.0")
    world.push("1.1.0")
    world.user("pull", f"{world.place}:1.0.0", "before")
    old = world.get("1.0.0")
    world.put("1.1.0", old)  # an old release served as the new one
    world.refused(f"{world.place}@^1.1", "wrong-name")
    other = made(NAME, world.root / "again", "1.1.0")
    forged = Layout(world.root / "publisher" / "releases")
    assert other.release.digest == forged.find(f"{NAME}@1.1.0").digest


def test_a_genuine_release_that_the_index_lists_otherwise_is_refused(world: World) -> None:
    world.push("1.0.0")
    index = world.get(INDEX_TAG)
    # The same name and version with other content, signed by the same key: published elsewhere, say.
    other = Layout(world.root / "publisher" / "others")
    release, _ = other.add(NAME, "1.0.0", {"model.tflite": b"TFL3 other"}, {})
    with world.registry() as registry:
        from builder.registry.push import send_small

        content = [other.blob(release.config), b"TFL3 other"]
        send_small(registry, world.remote.repository, content, lambda *_: None)
        world.put("1.0.0", other.blob_path(release.digest).read_bytes())
    world.put(INDEX_TAG, index)
    world.refused(f"{world.place}:1.0.0", "unsigned")


def test_a_rollback_and_a_removed_index_are_noticed_by_who_has_seen_newer(world: World) -> None:
    world.push("1.0.0")
    old = world.get(INDEX_TAG)
    world.push("1.1.0")
    world.user("pull", f"{world.place}@^1.0", "before")
    world.put(INDEX_TAG, old)
    world.refused(f"{world.place}@^1.0", "rollback")
    world.put(INDEX_TAG, world.get("1.0.0"))  # something that is no index
    world.refused(f"{world.place}@^1.0", "malformed")


def test_the_index_of_another_repository_is_refused(world: World) -> None:
    world.push("1.0.0")
    staging = world.place.replace("/", "/staging-", 1)
    world.publisher("push", f"{NAME}@1.0.0", staging, "--key", "keys/team.key")
    with world.registry() as registry:
        foreign = RegistryIndex(registry, Remote(world.server.host, staging.partition("/")[2]), lambda *_: None).read()
        assert foreign is not None
        RegistryIndex(registry, world.remote, lambda *_: None).write(foreign)
    world.refused(f"{world.place}:1.0.0", "wrong-repository")


def test_a_frozen_index_expires(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from builder.configuration import Configuration, read_settings

    world.push("1.0.0")
    path = world.root / "user" / "tinsmith.toml"
    policy = load_policy([Configuration(path, read_settings(path))])
    with world.registry() as registry:
        data = RegistryIndex(registry, world.remote, lambda *_: None).read()
        asked = Asked(Origin("registry", world.place), NAME, data)
        now = datetime.datetime.now(datetime.UTC)
        Gate(policy, Memory(tmp_path / "one"), now + datetime.timedelta(days=89)).usable(asked)
        late = Gate(policy, Memory(tmp_path / "two"), now + datetime.timedelta(days=91))
        with pytest.raises(TinsmithError) as caught:
            late.usable(asked)
        assert (caught.value.exit_status, caught.value.code) == (7, "expired")
        offer = find(registry, Remote(world.server.host, world.remote.repository, "1.0.0"))
        with pytest.raises(TinsmithError) as caught:
            late.admit(asked, "1.0.0", offer)
        assert caught.value.code == "expired"


def test_a_revoked_version_is_refused_and_passed_over(world: World) -> None:
    world.push("1.0.0")
    world.push("1.1.0")
    world.publisher("index", "revoke", world.place, "1.1.0", "--reason", "bad labels", "--key", "keys/team.key")
    world.refused(f"{world.place}:1.1.0", "revoked")
    assert "1.0.0" in world.user("pull", world.place)


def test_a_push_without_a_key_says_that_the_index_does_not_list_it(world: World) -> None:
    world.push("1.0.0")
    assert "does not list it" in world.publisher("push", f"{NAME}@1.1.0", world.place)
    world.publisher("push", f"{NAME}@1.1.0", f"{world.server.host}/some/thing", status=2)
