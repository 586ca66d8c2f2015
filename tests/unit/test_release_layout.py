from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.digest import digest_bytes
from builder.errors import IntegrityError, UsageError
from builder.release.layout import ARTIFACT_TYPE, MANIFEST_TYPE, Layout
from builder.release.make import pull
from builder.release.recipe import tar_of

FILES = {"model.tflite": b"TFL3", "labels.txt": b"raccoon\n", "run.json": b'{"latency":1}'}


def test_a_release_is_an_oci_layout_that_reads_back(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    release, new = layout.add("raccoon", "1.0.0", FILES, {"org.opencontainers.image.licenses": "MIT"})
    assert new
    assert json.loads((layout.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((layout.root / "index.json").read_text())["manifests"]
    assert entry["mediaType"] == MANIFEST_TYPE
    document = json.loads((layout.root / "blobs" / "sha256" / entry["digest"][7:]).read_bytes())
    assert document["artifactType"] == ARTIFACT_TYPE
    assert document["config"]["digest"] == digest_bytes(b"{}")
    assert {layer["digest"] for layer in document["layers"]} == {digest_bytes(data) for data in FILES.values()}
    for ref in ("raccoon", "raccoon@1.0.0", release.digest):
        assert layout.find(ref) == release
    assert layout.read(release, "labels.txt") == b"raccoon\n"


def test_the_same_bytes_again_change_nothing_even_with_another_run(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first, _ = layout.add("raccoon", "1.0.0", FILES, {})
    again, new = layout.add("raccoon", "1.0.0", {**FILES, "run.json": b'{"latency":2}'}, {})
    assert not new
    assert again == first
    assert len(layout.releases()) == 1


def test_other_bytes_under_a_released_version_are_refused_by_name(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.add("raccoon", "1.0.0", FILES, {})
    with pytest.raises(IntegrityError) as caught:
        layout.add("raccoon", "1.0.0", {**FILES, "labels.txt": b"cat\n"}, {})
    assert caught.value.exit_status == 7
    assert "labels.txt" in caught.value.message
    assert "model.tflite" not in caught.value.message
    assert layout.read(layout.find("raccoon"), "labels.txt") == b"raccoon\n"
    layout.add("raccoon", "1.0.1", {**FILES, "labels.txt": b"cat\n"}, {})
    assert layout.find("raccoon").version == "1.0.1"


def test_pull_writes_the_files_and_refuses_a_damaged_blob(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    release, _ = layout.add("raccoon", "1.0.0", FILES, {})
    pull(layout, release, tmp_path / "app")
    assert {path.name: path.read_bytes() for path in (tmp_path / "app").iterdir()} == FILES
    digest, _ = release.files["model.tflite"]
    (layout.root / "blobs" / "sha256" / digest[7:]).write_bytes(b"TFL4")
    with pytest.raises(IntegrityError):
        pull(layout, release, tmp_path / "other")


def test_an_unknown_release_says_which_there_are(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.add("raccoon", "1.0.0", FILES, {})
    with pytest.raises(UsageError) as caught:
        layout.find("racoon")
    assert "raccoon@1.0.0" in str(caught.value.help)


@pytest.mark.parametrize("title", ["../evil", "/etc/evil", ""])
def test_a_layout_cannot_write_outside_the_folder(tmp_path: Path, title: str) -> None:
    layout = Layout(tmp_path)
    with pytest.raises(IntegrityError):
        layout.add("raccoon", "1.0.0", {title: b"x"}, {})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"manifests": 1}'])
def test_a_damaged_index_is_an_integrity_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(IntegrityError):
        Layout(tmp_path).releases()


def test_the_recipe_tar_has_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    files = {"b": b"2", "a": b"1"}
    assert tar_of(files) == tar_of(dict(reversed(files.items())))
