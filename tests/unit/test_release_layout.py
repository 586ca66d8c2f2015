from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.digest import digest_bytes
from builder.errors import IntegrityError, UsageError
from builder.release.document import ARTIFACT_TYPE, CONFIG_TYPE, INDEX_TYPE, MANIFEST_TYPE, release_document
from builder.release.layout import Layout
from builder.release.make import pull, read_run
from builder.release.recipe import tar_of
from builder.release.release import Blob, parse_release

FILES = {"model.tflite": b"TFL3", "labels.txt": b"raccoon\n", "checkpoint/a": b"1"}
RUN_TYPE = "application/vnd.tinsmith.run.v1+json"


def test_a_release_is_an_oci_layout_that_reads_back(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    release, new = layout.add("raccoon", "1.0.0", FILES, {"org.opencontainers.image.licenses": "MIT"})
    assert new
    assert json.loads((layout.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((layout.root / "index.json").read_text())["manifests"]
    assert entry["mediaType"] == MANIFEST_TYPE
    document = json.loads((layout.root / "blobs" / "sha256" / entry["digest"][7:]).read_bytes())
    assert document["artifactType"] == ARTIFACT_TYPE
    config = json.loads((layout.root / "blobs" / "sha256" / document["config"]["digest"][7:]).read_bytes())
    assert document["config"]["mediaType"] == CONFIG_TYPE
    assert config["descriptor"] == {"name": "raccoon", "version": "1.0.0", "licenses": ["MIT"]}
    assert config["modelfs"]["diffIds"] == [layer["digest"] for layer in document["layers"]]
    assert {layer["digest"] for layer in document["layers"]} == {digest_bytes(data) for data in FILES.values()}
    for ref in ("raccoon", "raccoon@1.0.0", release.digest):
        assert layout.find(ref) == release
    assert layout.read(release, "labels.txt") == b"raccoon\n"


def test_the_same_bytes_again_change_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first, _ = layout.add("raccoon", "1.0.0", FILES, {})
    again, new = layout.add("raccoon", "1.0.0", dict(reversed(FILES.items())), {})
    assert not new
    assert again == first
    assert len(layout.releases()) == 1


def test_what_is_attached_is_found_under_the_tag_of_the_referrers_and_changes_no_digest(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    release, _ = layout.add("raccoon", "1.0.0", FILES, {})
    assert layout.attachments(release) == []
    layout.attach(release, RUN_TYPE, "run.json", b'{"latency":1}')
    layout.attach(release, RUN_TYPE, "run.json", b'{"latency":1}')
    layout.attach(release, "text/plain", "note.txt", b"fine")
    found = layout.attachments(release)
    assert sorted((item.title, layout.read_attachment(item)) for item in found) == [
        ("note.txt", b"fine"),
        ("run.json", b'{"latency":1}'),
    ]
    assert layout.releases() == [release]
    index = json.loads((tmp_path / "index.json").read_text())["manifests"]
    assert [entry["mediaType"] for entry in index] == [MANIFEST_TYPE, INDEX_TYPE]
    assert index[1]["annotations"]["org.opencontainers.image.ref.name"] == "sha256-" + release.digest[7:]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"latency": 1}', b"[" * 100_000])
def test_damaged_facts_of_a_run_are_refused(tmp_path: Path, data: bytes) -> None:
    layout = Layout(tmp_path)
    release, _ = layout.add("raccoon", "1.0.0", FILES, {})
    layout.attach(release, RUN_TYPE, "run.json", data)
    with pytest.raises(IntegrityError, match=r"run\.json of raccoon@1\.0\.0"):
        read_run(layout, release)


def test_an_attachment_of_another_release_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    one, _ = layout.add("raccoon", "1.0.0", FILES, {})
    other, _ = layout.add("raccoon", "1.0.1", {**FILES, "labels.txt": b"cat\n"}, {})
    layout.attach(one, RUN_TYPE, "run.json", b"{}")
    index = (tmp_path / "index.json").read_text()
    (tmp_path / "index.json").write_text(index.replace("sha256-" + one.digest[7:], "sha256-" + other.digest[7:]))
    assert layout.attachments(one) == []
    with pytest.raises(IntegrityError, match="attached to something else"):
        layout.attachments(other)


def test_every_byte_of_a_release_is_guarded(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    release, _ = layout.add("raccoon", "1.0.0", FILES, {"org.opencontainers.image.licenses": "MIT"})
    for blob in (Blob(release.digest, release.size), release.config, *(Blob(*item) for item in release.files.values())):
        path = layout.blob_path(blob.digest)
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(IntegrityError):
                check_all(layout)
        for other in (whole[:-1], whole + b"\0", b""):
            path.write_bytes(other)
            with pytest.raises(IntegrityError):
                check_all(layout)
        path.write_bytes(whole)
    assert check_all(layout) == FILES


def check_all(layout: Layout) -> dict[str, bytes]:
    (release,) = layout.releases()
    layout.blob(release.config)
    return {title: layout.read(release, title) for title in release.files}


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
    found = [path for path in (tmp_path / "app").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "app").as_posix(): path.read_bytes() for path in found} == FILES
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


UNSAFE = ["../evil", "/etc/evil", "", ".", "a/../b", "a//b", "./a", "a/", "a\\b", "C:x", "a\nb", "a" * 500]


@pytest.mark.parametrize("title", UNSAFE)
def test_no_release_can_be_written_outside_its_folder(title: str) -> None:
    data, _ = release_document("raccoon", "1.0.0", {title: (digest_bytes(b"x"), 1)}, {})
    with pytest.raises(IntegrityError):
        parse_release(data)


def test_a_file_that_is_also_a_folder_is_refused() -> None:
    blob = (digest_bytes(b"x"), 1)
    data, _ = release_document("raccoon", "1.0.0", {"a": blob, "a/b": blob}, {})
    with pytest.raises(IntegrityError):
        parse_release(data)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"manifests": 1}'])
def test_a_damaged_index_is_an_integrity_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(IntegrityError):
        Layout(tmp_path).releases()


def test_the_recipe_tar_has_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    files = {"b": b"2", "a": b"1"}
    assert tar_of(files) == tar_of(dict(reversed(files.items())))
