"""Installing the hook, and its settings."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from builder.cli.app import app
from builder.errors import UsageError
from builder.hook.install import hook_path, install, place_of
from builder.hook.place import Place
from builder.hook.settings import Settings, read
from tests.repositories import Repository


def test_installing_again_and_over_a_foreign_hook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = Repository(tmp_path / "a bare 'one'", bare=True)
    place = place_of(bare.folder)
    settings = Settings(
        branches=("main", "next"), store=tmp_path / "store", releases=place.releases, push="r.example/p"
    )
    path = install(place, settings)
    before = (path.read_bytes(), (bare.folder / "config").read_bytes())
    assert read(place) == settings
    assert os.access(path, os.X_OK)
    assert install(place, settings) == path
    assert (path.read_bytes(), (bare.folder / "config").read_bytes()) == before
    install(place, Settings(("main",), "s3://team/store", place.releases))
    assert read(place) == Settings(("main",), "s3://team/store", place.releases)
    install(place, Settings(("main",), place.store, place.releases))
    assert read(place) == Settings(("main",), place.store, place.releases)
    path.write_text("#!/bin/sh\necho mine\n")
    with pytest.raises(UsageError) as caught:
        install(place, settings)
    assert caught.value.code == "foreign-hook"
    assert shlex.split(caught.value.help or "")[-2:] == ["hook", "run"]
    assert (path.read_text(), read(place)) == (
        "#!/bin/sh\necho mine\n",
        Settings(("main",), place.store, place.releases),
    )
    tree = Repository(tmp_path / "tree")
    assert place_of(tree.folder) == Place(tree.folder / ".git")
    with pytest.raises(UsageError):
        place_of(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ["--push", "nohost"],
        ["--push", "registry.example.org/models:1.0"],
        ["--push", "./folder"],
        ["--push", "registry.example.org/UPPER"],
        ["--engine", "podman"],
        ["--key", "absent.key"],
        ["--settings", "absent.toml"],
        ["--manifests", "../elsewhere"],
        ["--manifests", "--option"],
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path, words: list[str]) -> None:
    bare = Repository(tmp_path / "bare", bare=True)
    with pytest.raises(UsageError):
        app(["hook", "install", str(bare.folder), *words], standalone_mode=False)
    assert read(Place(bare.folder)) is None
    assert not hook_path(Place(bare.folder)).exists()


def test_a_repository_without_settings_is_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = Repository(tmp_path / "bare", bare=True)
    monkeypatch.setenv("GIT_DIR", str(bare.folder))
    app(["hook", "run"], standalone_mode=False)
    assert capsys.readouterr().out == ""
    assert not Place(bare.folder).folder.exists()


def test_a_hook_is_installed_into_the_repository_that_is_named_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = Repository(tmp_path / "clone")
    tree.write("manifests/deep/a.yaml", "")
    for folder in (tree.folder / "manifests", tree.folder / ".git" / "hooks"):
        with pytest.raises(UsageError, match="is a folder inside the repository"):
            app(["hook", "install", str(folder)], standalone_mode=False)
    assert not hook_path(Place(tree.folder / ".git")).exists()
    app(["hook", "status", str(tree.folder)], standalone_mode=False)
    assert capsys.readouterr().out == f"no hook is installed: tinsmith hook install {tree.folder}\n"
    link = tmp_path / "link"
    link.symlink_to(tree.folder)
    for folder in (link, tree.folder / ".git"):
        app(["hook", "install", str(folder)], standalone_mode=False)
    capsys.readouterr()
    app(["hook", "status", str(tree.folder)], standalone_mode=False)
    assert capsys.readouterr().out == "no jobs yet\n"
