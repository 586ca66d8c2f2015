"""The digest of data, and that it is the same by git and by folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builder.errors import DatasetError, StoreUnreachable
from builder.fetch.checkout import checkout
from builder.lock.content import dataset_digest
from builder.lock.sources import locate
from builder.manifest.datasource import Source

FOLDERS = ("images", "annotations")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name, text in (
        ("images/b.jpg", "b"),
        ("images/deep/a.jpg", "a"),
        ("annotations/b.xml", "<x>\r\n</x>\n"),
        ("LICENSE", "MIT"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    return root


def git(*arguments: str, at: Path) -> str:
    settings = ["-c", "user.name=t", "-c", "user.email=t@example", "-c", "init.defaultBranch=main"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(at), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(at), *settings, *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, data: Path) -> tuple[Path, str]:
    """A repository with ``data`` in its first of two commits, and that commit."""
    root = tmp_path / "repository"
    shutil.copytree(data, root)
    git("init", "--quiet", at=root)
    git("add", "--all", at=root)
    git("commit", "--quiet", "-m", "data", at=root)
    commit = git("rev-parse", "HEAD", at=root)
    (root / "images" / "later.jpg").write_text("later")
    git("add", "--all", at=root)
    git("commit", "--quiet", "-m", "more", at=root)
    return root, commit


def test_only_the_named_folders_count(data: Path) -> None:
    before = dataset_digest(data, FOLDERS)
    (data / "LICENSE").write_text("other")
    assert dataset_digest(data, reversed(FOLDERS)) == before
    assert (before.files, before.bytes) == (3, 12)


@pytest.mark.parametrize("change", ["rename", "content", "more", "less"])
def test_every_change_of_a_file_counts(data: Path, change: str) -> None:
    before = dataset_digest(data, FOLDERS)
    file = data / "images" / "b.jpg"
    if change == "rename":
        file.rename(file.with_name("c.jpg"))
    elif change == "content":
        file.write_text("c")
    elif change == "more":
        file.with_name("c.jpg").touch()
    else:
        file.unlink()
    assert dataset_digest(data, FOLDERS).digest != before.digest


def test_times_modes_and_overlapping_folders_do_not_count(data: Path) -> None:
    before = dataset_digest(data, FOLDERS)
    os.utime(data / "images" / "b.jpg", (1, 1))
    (data / "images" / "b.jpg").chmod(0o600)
    assert dataset_digest(data, ("images", "images/deep", "./annotations")) == before


def test_links_within_count_as_files_and_links_out_are_refused(data: Path, tmp_path: Path) -> None:
    before = dataset_digest(data, FOLDERS)
    (data / "images" / "b.jpg").rename(data / "real.jpg")
    (data / "images" / "b.jpg").symlink_to("../real.jpg")
    assert dataset_digest(data, FOLDERS) == before
    secret = tmp_path / "secret"
    secret.write_text("b")
    (data / "images" / "b.jpg").unlink()
    (data / "images" / "b.jpg").symlink_to(secret)
    with pytest.raises(DatasetError) as caught:
        dataset_digest(data, FOLDERS)
    assert caught.value.code == "dataset-link"


@pytest.mark.parametrize("kind", ["folder-link", "loop", "dangling", "pipe", "folder-out", "name", "none", "empty"])
def test_what_is_no_data(data: Path, tmp_path: Path, kind: str) -> None:
    images, folders = data / "images", FOLDERS
    if kind == "folder-link":
        (images / "again").symlink_to("deep")
    elif kind == "loop":
        (images / "loop").symlink_to("loop")
    elif kind == "dangling":
        (images / "gone.jpg").symlink_to("nowhere")
    elif kind == "pipe":
        os.mkfifo(images / "pipe.jpg")
    elif kind == "folder-out":
        images.rename(tmp_path / "elsewhere")
        images.symlink_to(tmp_path / "elsewhere")
    elif kind == "name":
        (images / os.fsdecode(b"\xff.jpg")).touch()
    elif kind == "none":
        folders = ("images", "labels")
    else:
        (data / "void").mkdir()
        folders = ("void", "void")
    with pytest.raises(DatasetError):
        dataset_digest(data, folders)


def test_git_and_folder_give_the_same_digest(data: Path, repository: tuple[Path, str], tmp_path: Path) -> None:
    root, commit = repository
    checkout(f"file://{root}", commit, tmp_path / "out", transports=("file",))
    assert dataset_digest(tmp_path / "out", FOLDERS) == dataset_digest(data, FOLDERS)
    assert not (tmp_path / "out" / ".git").exists()
    assert dataset_digest(tmp_path / "out", (".",)) == dataset_digest(data, (".",))


def test_the_settings_of_the_user_do_not_change_the_bytes(
    data: Path, repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, commit = repository
    settings = tmp_path / "gitconfig"
    settings.write_text("[core]\n  autocrlf = true\n  eol = crlf\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    checkout(f"file://{root}", commit, tmp_path / "out", transports=("file",))
    assert dataset_digest(tmp_path / "out", FOLDERS) == dataset_digest(data, FOLDERS)


def test_a_commit_is_fetched_once(data: Path, repository: tuple[Path, str], tmp_path: Path) -> None:
    root, commit = repository
    told = []
    dataset = in_git(f"file://{root}", commit)
    for _ in range(2):
        folder = locate(
            dataset,
            tmp_path / "m.yaml",
            {},
            tmp_path / "cache",
            lambda *event: told.append(event),
            transports=("file",),
        )
    assert len(told) == 1
    assert dataset_digest(folder, FOLDERS) == dataset_digest(data, FOLDERS)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def in_git(url: str, commit: str) -> Source:
    # Not checked as a manifest's is: a test has no https server.
    return Source.model_construct(name="owls", path=None, git=url, commit=commit, url=None, sha256=None, oci=None)


def test_a_commit_that_is_not_there(repository: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        checkout(f"file://{repository[0]}", "0" * 39 + "1", tmp_path / "out" / "x", transports=("file",))
    assert caught.value.code == "dataset-commit"
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "url", ["file://{root}", "{root}", "ext::sh -c touch% {root}/pwned", "git://127.0.0.1/x", "ssh://127.0.0.1/x"]
)
def test_no_other_transport_than_https(repository: tuple[Path, str], tmp_path: Path, url: str) -> None:
    root, commit = repository
    with pytest.raises(StoreUnreachable) as caught:
        checkout(url.format(root=root), commit, tmp_path / "out", transports=("https",))
    assert "not allowed" in caught.value.message
    assert not (root / "pwned").exists()


def test_no_git(repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatasetError) as caught:
        checkout("https://host.invalid/x", repository[1], tmp_path / "out")
    assert caught.value.code == "dataset-git"
