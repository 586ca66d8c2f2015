"""A catalogue of what lies in real registries: signed, with an index, unsigned, damaged, or not there."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.cli.app import app
from builder.digest import hex_of
from builder.errors import IntegrityError, StoreUnreachable, TinsmithError
from builder.registry import wire
from builder.release.layout import Layout
from builder.trust.keys import load_signing
from tests.catalogue import Recipe, add
from tests.registries import Running, free_port, required, running

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    required("docker-registry")
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


Tinsmith = Callable[..., None]


@pytest.fixture
def tinsmith(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tinsmith:
    """The command line in a folder of its own, with a key; no login, cache or memory of this machine is used."""
    monkeypatch.setattr(wire, "pause", lambda seconds, stopped: stopped.wait(min(seconds, 0.05)))
    monkeypatch.chdir(tmp_path)
    for name in ("TINSMITH_KEY", "TINSMITH_KEY_PASSPHRASE", "TINSMITH_RELEASES"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CACHE", "STATE"):
        monkeypatch.setenv(f"TINSMITH_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*words: str) -> None:
        app(words, standalone_mode=False)

    run("key", "new", "team")
    return run


def listed() -> dict[str, list[str]]:
    document = json.loads(Path("site/catalogue.json").read_bytes())
    return {model["name"]: [each["version"] for each in model["versions"]] for model in document["models"]}


def trust(*names: str) -> None:
    Path("tinsmith.toml").write_text(f'[[trust]]\nnames = {json.dumps(list(names))}\nkeys = ["team.pub"]\n')


def published(tinsmith: Tinsmith, registry: Running, folder: str, **recipe: float) -> str:
    """Three signed versions of ``a`` with an index; where they lie."""
    place = f"{registry.host}/{folder}/a"
    key = load_signing(Path("team.key").read_bytes(), "it", lambda: None)
    for version in VERSIONS:
        add(Layout(Path("made")), Recipe("a", version, **recipe), key)  # type: ignore[arg-type]
        tinsmith("push", f"a@{version}", place, "--key", "team.key", "--releases", "made")
    return place


def test_every_version_that_the_signed_index_lists_is_in_the_catalogue(
    tinsmith: Tinsmith, registry: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    trust("a")
    place = published(tinsmith, registry, "signed")
    tinsmith("index", "revoke", place, "1.1.0", "--reason", "mislabelled", "--key", "team.key")
    tinsmith("site", place, "-o", "site")
    assert listed() == {"a": ["1.2.0", "1.0.0"]}
    page = Path("site/models/a/index.html").read_text()
    assert f"tinsmith pull {place}:1.2.0 models/a --only model" in page
    assert "Signed by" in page
    capsys.readouterr()
    tinsmith("site", place, "-o", "site", "--json")
    assert json.loads(capsys.readouterr().out)["listed"] == ["a@1.2.0", "a@1.0.0"]
    assert [path.name for path in Path("cache/downloads").iterdir()] == []


def test_tags_are_listed_where_no_rule_asks_for_an_index(tinsmith: Tinsmith, registry: Running) -> None:
    place = published(tinsmith, registry, "open")
    with pytest.raises(IntegrityError) as caught:
        tinsmith("site", place, "-o", "site")
    assert caught.value.code == "untrusted-name"
    assert not Path("site").exists()
    tinsmith("site", place, "-o", "site", "--allow-unsigned")
    assert listed() == {"a": ["1.2.0", "1.1.0", "1.0.0"]}


def test_local_releases_and_a_registry_in_one_catalogue(tinsmith: Tinsmith, registry: Running) -> None:
    place = published(tinsmith, registry, "both")
    shutil.copytree("made", "releases", dirs_exist_ok=True)
    add(Layout(Path("releases")), Recipe("b"))
    tinsmith("site", place, "-o", "site", "--allow-unsigned")
    assert listed() == {"a": ["1.2.0", "1.1.0", "1.0.0"], "b": ["1.0.0"]}
    assert f"tinsmith pull {place}:1.2.0" in Path("site/models/a/index.html").read_text()
    assert "tinsmith pull b@1.0.0" in Path("site/models/b/index.html").read_text()


def test_an_unsigned_version_is_left_out(
    tinsmith: Tinsmith, registry: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    place = published(tinsmith, registry, "mixed")
    add(Layout(Path("made")), Recipe("a", "1.3.0"))
    tinsmith("push", "a@1.3.0", place, "--releases", "made")
    trust("a")
    tinsmith("site", place, "-o", "site")
    assert listed() == {"a": ["1.2.0", "1.1.0", "1.0.0"]}  # the index does not know 1.3.0
    assert "not listed: a@1.3.0" in capsys.readouterr().err


def test_what_the_registry_damaged_is_not_believed(tinsmith: Tinsmith, registry: Running) -> None:
    place = published(tinsmith, registry, "damaged", map=0.123)
    tinsmith("site", place, "-o", "site", "--allow-unsigned")
    before = Path("site/index.html").read_bytes()
    digest = hex_of(Layout(Path("made")).find("a@1.1.0").files["metadata.json"][0])
    (blob,) = registry.blobs.glob(f"sha256/*/{digest}/data")
    data = blob.read_bytes()
    blob.write_bytes(data.replace(b"Apache-2.0", b"Apache-3.0"))
    try:
        # Whether the registry or its reader sees it: nothing is written.
        with pytest.raises(TinsmithError) as caught:
            tinsmith("site", place, "-o", "site", "--allow-unsigned")
    finally:
        blob.write_bytes(data)
    assert caught.value.exit_status in (7, 8)
    assert Path("site/index.html").read_bytes() == before


def test_a_registry_that_does_not_answer_changes_nothing(tinsmith: Tinsmith) -> None:
    required("docker-registry")
    add(Layout(Path("releases")), Recipe("b"))
    tinsmith("site", "-o", "site")
    with pytest.raises(StoreUnreachable):
        tinsmith("site", f"127.0.0.1:{free_port()}/models/a", "-o", "site")
    assert listed() == {"b": ["1.0.0"]}


def test_a_repository_with_nothing_in_it_is_told(tinsmith: Tinsmith, registry: Running) -> None:
    with pytest.raises(StoreUnreachable, match="has no versions"):
        tinsmith("site", f"{registry.host}/no/such", "-o", "site")
