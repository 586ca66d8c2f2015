"""``tinsmith site``: what is listed and what is not, and a folder that is written whole or stays as it was."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from builder.cli.app import app
from builder.errors import IntegrityError, TinsmithError, UsageError
from builder.release.layout import Layout
from builder.release.make import RUN_FILE, RUN_TYPE
from builder.release.release import Release
from builder.release.sign import attach_provenance
from builder.release.versions import LayoutIndex, listing_all
from builder.trust.index import renewed, seal
from builder.trust.keys import load_public, load_signing
from tests.catalogue import HOSTILE, Recipe, add, many, metadata, provenance_of
from tests.golden.write import ROOT

A, B = Recipe("a"), Recipe("b", map=0.6)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, whose user has no settings and no memory."""
    monkeypatch.chdir(tmp_path)
    for name in ("TINSMITH_KEY", "TINSMITH_KEY_PASSPHRASE", "TINSMITH_RELEASES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TINSMITH_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return tmp_path


def tinsmith(*words: str) -> None:
    app(words, standalone_mode=False)


def contents(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def listed(folder: str = "site") -> list[str]:
    document = json.loads((Path(folder) / "catalogue.json").read_bytes())
    return [f"{model['name']}@{version['version']}" for model in document["models"] for version in model["versions"]]


def damage(layout: Layout, release: Release, title: str) -> None:
    path = layout.blob_path(release.files[title][0])
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def test_the_same_releases_give_the_same_bytes_and_a_second_run_replaces_the_first(project: Path) -> None:
    many(project / "releases")
    tinsmith("site", "-o", "one/site")
    first = contents(project / "one" / "site")
    tinsmith("site", "-o", "one/site")
    (project / "elsewhere").mkdir()
    tinsmith("site", "-o", "elsewhere")
    assert contents(project / "one" / "site") == first == contents(project / "elsewhere")
    assert sorted(path.name for path in (project / "one").iterdir()) == ["site"]


def test_what_is_gone_from_the_releases_is_gone_from_the_site(project: Path) -> None:
    add(Layout(project / "one"), A)
    add(Layout(project / "two"), B)
    tinsmith("site", "./one", "./two", "-o", "site", "--allow-unsigned")
    assert listed() == ["a@1.0.0", "b@1.0.0"]
    tinsmith("site", "./two", "-o", "site", "--allow-unsigned")
    assert listed() == ["b@1.0.0"]
    assert not (project / "site" / "models" / "a").exists()


def test_files_can_be_read_by_a_web_server(project: Path) -> None:
    add(Layout(project / "releases"), A)
    old = os.umask(0o077)
    try:
        tinsmith("site", "-o", "site")
    finally:
        os.umask(old)
    for path in [project / "site", *(project / "site").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize("foreign", ["note.txt", "models/a/index.htm", ".git/config"])
def test_a_folder_with_foreign_files_is_left_alone(project: Path, foreign: str) -> None:
    add(Layout(project / "releases"), A)
    tinsmith("site", "-o", "site")
    path = project / "site" / foreign
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = contents(project / "site")
    with pytest.raises(UsageError, match=foreign):
        tinsmith("site", "-o", "site")
    assert contents(project / "site") == before


@pytest.mark.parametrize(
    "catalogue",
    ["{", "[]", "{}", '{"tinsmith": "site"}', '{"files": ["catalogue.json"]}', '{"tinsmith": 1, "files": 1}'],
)
def test_a_folder_with_some_catalogue_json_is_no_site(project: Path, catalogue: str) -> None:
    add(Layout(project / "releases"), A)
    (project / "site").mkdir()
    (project / "site" / "catalogue.json").write_text(catalogue)
    with pytest.raises(UsageError):
        tinsmith("site", "-o", "site")
    assert (project / "site" / "catalogue.json").read_text() == catalogue


def test_a_file_or_a_broken_link_is_no_folder_and_a_link_stays_one(project: Path) -> None:
    add(Layout(project / "releases"), A)
    (project / "file").write_text("")
    (project / "nowhere").symlink_to("absent")
    for name in ("file", "nowhere"):
        with pytest.raises(UsageError, match=name):
            tinsmith("site", "-o", name)
    (project / "real").mkdir()
    (project / "linked").symlink_to("real")
    for _ in range(2):
        tinsmith("site", "-o", "linked")
        assert (project / "linked").is_symlink()
        assert listed("real") == ["a@1.0.0"]


def test_an_error_while_the_site_is_put_in_place_brings_the_old_one_back(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(Layout(project / "releases"), A)
    tinsmith("site", "-o", "site")
    before = contents(project / "site")
    add(Layout(project / "releases"), B)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "site" and target == project / "site":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no"):
        tinsmith("site", "-o", "site")
    assert contents(project / "site") == before
    assert {path.name for path in project.iterdir()} == {"releases", "site"}


def test_a_damaged_release_ends_the_run_or_is_left_out_and_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(project / "releases")
    add(layout, B)
    tinsmith("site", "-o", "site")
    before = contents(project / "site")
    damage(layout, add(layout, A), "model.tflite")
    with pytest.raises(IntegrityError, match=r"a@1\.0\.0") as caught:
        tinsmith("site", "-o", "site")
    assert caught.value.exit_status == 7
    assert contents(project / "site") == before
    with pytest.raises(IntegrityError):
        tinsmith("site", "-o", "deep/new")
    assert not (project / "deep").exists()
    capsys.readouterr()
    tinsmith("site", "-o", "site", "--skip-damaged", "--json")
    said = capsys.readouterr()
    assert listed() == ["b@1.0.0"]
    assert "not listed: a@1.0.0" in said.err
    assert [item["damaged"] for item in json.loads(said.out)["not_listed"]] == [True]


def test_an_oci_manifest_that_is_damaged_is_one_release_and_not_all(project: Path) -> None:
    layout = Layout(project / "releases")
    release = add(layout, A)
    add(layout, B)
    layout.blob_path(release.digest).unlink()
    with pytest.raises(IntegrityError, match=release.digest):
        tinsmith("site", "-o", "site")
    tinsmith("site", "-o", "site", "--skip-damaged")
    assert listed() == ["b@1.0.0"]


def _metadata(change: Callable[[dict[str, object]], object]) -> Callable[[Layout], Release]:
    def made(layout: Layout) -> Release:
        from tests.catalogue import files_of

        document = json.loads(files_of(A)["metadata.json"])
        change(document)
        return add(layout, A, metadata_json=json.dumps(document).encode())

    return made


@pytest.mark.parametrize(
    "made",
    [
        lambda layout: add(layout, A, model_tflite=None),
        lambda layout: add(layout, A, metadata_json=None),
        lambda layout: add(layout, A, metadata_json=b"{}"),
        lambda layout: add(layout, A, metadata_json=b"[" * 100_000),
        lambda layout: add(layout, A, labels_txt=b"\xff\n"),
        lambda layout: add(layout, A, labels_txt=b"square\ncircle\ntriangle\n"),
        lambda layout: add(layout, A, model_tflite=b"TFL3 of another"),
        lambda layout: add(layout, A, detections_png=b"<svg onload='alert(1)'/>"),
        lambda layout: add(layout, A, evaluation_json=b'{"format": 1}'),
        _metadata(lambda it: it.update(name="b")),
        _metadata(lambda it: it.update(license=["MIT"])),
        _metadata(lambda it: it.update(format=2)),
        _metadata(lambda it: it["input"].update(std=0)),  # type: ignore[attr-defined]
        _metadata(lambda it: it["input"].update(mean="1; import os")),  # type: ignore[attr-defined]
        _metadata(lambda it: it["input"].update(shape=[1, 96, 96])),  # type: ignore[attr-defined]
        _metadata(lambda it: it["metrics"]["stages"].pop("tflite_litert")),  # type: ignore[attr-defined]
        _metadata(lambda it: it["dataset"]["splits"].pop("eval")),  # type: ignore[attr-defined]
        _metadata(lambda it: it["outputs"].update(tensors=[])),  # type: ignore[attr-defined]
    ],
)
def test_a_release_that_is_not_one_is_named_without_a_traceback(
    project: Path, made: Callable[[Layout], Release]
) -> None:
    layout = Layout(project / "releases")
    made(layout)
    with pytest.raises(IntegrityError, match=r"a@1\.0\.0"):
        tinsmith("site", "-o", "site")
    assert not (project / "site").exists()


def test_what_the_policy_refuses_is_not_listed_and_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tinsmith("key", "new", "team")
    key = load_signing(Path("team.key").read_bytes(), "it", lambda: None)
    layout = Layout(project / "releases")
    add(layout, A)
    signed = add(layout, B, key)
    (project / "tinsmith.toml").write_text('[[trust]]\nnames = ["*"]\nkeys = ["team.pub"]\n')
    tinsmith("site", "-o", "site")
    assert listed() == ["b@1.0.0"]
    assert "not listed: a@1.0.0" in capsys.readouterr().err
    page = (project / "site" / "models" / "b" / "index.html").read_text()
    assert key.public.id in page
    assert signed.digest in page


@pytest.mark.parametrize(("recipes", "says"), [((A,), "1 was refused"), ((A, B), "2 were refused")])
def test_where_everything_is_refused_the_error_tells_how_many_and_the_way_out(
    project: Path, capsys: pytest.CaptureFixture[str], recipes: tuple[Recipe, ...], says: str
) -> None:
    tinsmith("key", "new", "team")
    for recipe in recipes:
        add(Layout(project / "releases"), recipe)
    (project / "tinsmith.toml").write_text('[[trust]]\nnames = ["*"]\nkeys = ["team.pub"]\n')
    with pytest.raises(UsageError, match=f"no release to list: {says}") as caught:
        tinsmith("site", "-o", "site")
    assert "tinsmith.toml" in str(caught.value.help)
    assert "--allow-unsigned" in str(caught.value.help)
    assert capsys.readouterr().err.count("not listed: ") == len(recipes)
    assert not (project / "site").exists()


def test_of_a_signed_release_only_the_run_that_the_signature_names_counts(project: Path) -> None:
    tinsmith("key", "new", "team")
    key = load_signing(Path("team.key").read_bytes(), "it", lambda: None)
    layout = Layout(project / "releases")
    faster = json.dumps({"latency": {"cpu": "a lie", "latency_ms": {"median": 0.001}, "threads": 1}}).encode()
    for recipe, signer in ((A, key), (B, None)):
        release = add(layout, recipe, signer)
        layout.attach(release, RUN_TYPE, RUN_FILE, faster)
        attach_provenance(layout, release, provenance_of(release, recipe, faster), None)
    (project / "tinsmith.toml").write_text('[[trust]]\nnames = ["a"]\nkeys = ["team.pub"]\n')
    tinsmith("site", "-o", "site")
    assert "a lie" not in (project / "site" / "models" / "a" / "index.html").read_text()


def test_an_attachment_that_cannot_be_read_is_passed_over_and_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(project / "releases")
    release = add(layout, Recipe("a", latency=None))
    layout.attach(release, RUN_TYPE, RUN_FILE, b'{"latency": {"cpu": 1}}')
    attach_provenance(layout, release, {**provenance_of(release, A, None), "predicate": {}}, None)
    tinsmith("site", "-o", "site")
    assert listed() == ["a@1.0.0"]
    assert "passed over:" in capsys.readouterr().err


def test_a_folder_lists_what_its_index_lists(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import datetime

    tinsmith("key", "new", "team")
    key = load_signing(Path("team.key").read_bytes(), "it", lambda: None)
    public = load_public(Path("team.pub").read_bytes(), "it")
    layout = Layout(project / "mirror")
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        add(layout, Recipe("a", version), key)
    index = listing_all(renewed(None, "a", datetime.datetime.now(datetime.UTC)), layout, public)
    index = index.model_copy(update={"revoked": {"1.1.0": "mislabelled"}})
    LayoutIndex(layout, "a").write(seal(index, key))
    add(layout, Recipe("a", "1.3.0"), key)
    (project / "tinsmith.toml").write_text('[[trust]]\nnames = ["a"]\nkeys = ["team.pub"]\n')
    tinsmith("site", "./mirror", "-o", "site")
    assert listed() == ["a@1.2.0", "a@1.0.0"]
    said = capsys.readouterr().err
    assert "not listed: a@1.1.0" in said
    assert "not listed: a@1.3.0" in said


def test_a_place_that_was_named_and_of_which_nothing_is_let_in_is_an_error(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(Layout(project / "mirror"), A)
    add(Layout(project / "mirror"), Recipe("a", "1.1.0"))
    add(Layout(project / "releases"), B)
    with pytest.raises(IntegrityError) as caught:
        tinsmith("site", "./mirror", "-o", "site")
    assert caught.value.code == "untrusted-name"
    assert not (project / "site").exists()
    assert capsys.readouterr().err.count("not listed: a@1.") == 2
    tinsmith("site", "./mirror", "-o", "site", "--allow-unsigned")
    assert listed() == ["a@1.1.0", "a@1.0.0", "b@1.0.0"]


def test_one_release_from_two_places_is_one_and_two_under_one_name_are_damaged(project: Path) -> None:
    add(Layout(project / "releases"), A)
    add(Layout(project / "one"), A)
    tinsmith("site", "./one", "-o", "site", "--allow-unsigned")
    assert listed() == ["a@1.0.0"]
    add(Layout(project / "two"), Recipe("a", map=0.99))
    with pytest.raises(IntegrityError, match="other bytes under this name and version"):
        tinsmith("site", "./two", "-o", "site", "--allow-unsigned")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("site -o site", "no release to list"),
        ("site ./absent -o site", "has no release"),
        ("site ./releases:a@1.0.0 -o site", "names a version"),
        ("site registry.example.org/a:1.0.0 -o site", "names a version"),
        ("site registry.example.org/a@^1 -o site", "names a version"),
        ("site a -o site", "names no host"),
    ],
)
def test_mistakes_are_told(project: Path, words: str, says: str) -> None:
    with pytest.raises(TinsmithError, match=says) as caught:
        tinsmith(*words.split())
    assert caught.value.exit_status == 2
    assert not (project / "site").exists()


def test_one_name_of_a_folder_can_be_meant(project: Path) -> None:
    many(project / "mirror")
    tinsmith("site", "./mirror:shapes", "-o", "site", "--allow-unsigned")
    assert set(listed()) == {"shapes@2.1.0-rc.1", "shapes@2.0.0", "shapes@1.1.0", "shapes@1.0.0"}


@pytest.mark.parametrize(("right", "advised"), [((0.93, 0.9), True), ((0.0, 0.0), False), ((0.5, 0.0), False)])
def test_a_score_is_advised_only_where_something_right_is_found(
    project: Path, right: tuple[float, float], advised: bool
) -> None:
    layout = Layout(project / "releases")
    release = add(layout, Recipe("a", right=right))
    tinsmith("site", "-o", "site")
    page = (project / "site" / "models" / "a" / "index.html").read_text()
    assert ("Show detections from a score of" in page) is advised
    assert ("No score to show detections from can be advised" in page) is not advised
    assert f"score &gt;= {metadata(layout, release)['operating_point']['score']:g}:" in page


def test_a_model_that_a_constant_box_beats_is_marked(project: Path) -> None:
    layout = Layout(project / "releases")
    add(layout, Recipe("a", map=0.5))
    add(layout, Recipe("a", "1.1.0", map=0.001))
    add(layout, Recipe("b", map=0.001))
    add(layout, Recipe("b", "1.1.0", map=0.002))  # as good as the constant box; only the newest counts
    tinsmith("site", "-o", "site")
    said = "does not beat one constant box"
    assert (project / "site" / "index.html").read_text().count(said) == 1
    assert f"{said} (0.003)" in (project / "site" / "models" / "a" / "index.html").read_text()
    assert said not in (project / "site" / "models" / "b" / "index.html").read_text()


def test_the_page_about_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    add(Layout(project / "releases"), A)
    add(Layout(project / "mirror"), Recipe("raccoon"))
    ((command, says),) = [block.split("\n", 1) for block in re.findall(r"```console\n\$ (.*?)```", page, re.DOTALL)]
    commands = [command, *re.findall(r"^\| `(.*?)` \|", page, re.MULTILINE)]
    commands += re.findall(r"(?:^    |run: )(tinsmith site .*)$", page, re.MULTILINE)
    assert len(commands) == 7
    for each in commands:
        program, *words = shlex.split(each)
        assert program == "tinsmith"
        here = [word for word in words if not word.startswith("ghcr.io/")]
        tinsmith(*here, *(["--allow-unsigned"] if any(word.startswith("./") for word in here) else []))
        assert capsys.readouterr().out == says
    assert listed("public") == ["a@1.0.0"]


def test_the_printed_texts_of_a_release_steer_no_terminal(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(project / "releases")
    add(layout, B)
    (layout.root / "index.json").write_bytes(
        (layout.root / "index.json").read_bytes().replace(b"b:1.0.0", b"b:\\u001b[31m")
    )
    with pytest.raises(IntegrityError) as caught:
        tinsmith("site", "-o", "site")
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err + caught.value.message


def test_pages_hold_texts_as_texts(project: Path) -> None:
    add(
        Layout(project / "releases"),
        Recipe("a", description=HOSTILE, license="javascript:alert(1)", classes=(HOSTILE,)),
    )
    tinsmith("site", "-o", "site", "--title", "<i>Ours</i>")
    for path in (project / "site").rglob("*.html"):
        text = path.read_text()
        assert text.count("<script") == 1
        assert "<i>" not in text
        assert "<img src" not in text or "detections.png" in text
        assert 'href="http' not in text
