"""Layouts and attachments as somebody with ill will would write them: refused, and never waited for."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.cli import main
from builder.digest import canonical_json, digest_bytes
from builder.errors import IntegrityError, StoreUnreachable, UsageError
from builder.registry import offer, pull
from builder.registry.offer import find_in, offer_in
from builder.registry.pull import copying, into_folder, into_layout
from builder.registry.push import check_folder
from builder.registry.reference import Folder, Named, parse_reference
from builder.registry.transfer import check_file, copy_blob
from builder.release.document import (
    DESCRIPTION,
    EMPTY,
    INDEX_TYPE,
    MANIFEST_TYPE,
    attachment_document,
    attachment_entry,
    descriptor,
    referrers_document,
    referrers_tag,
    release_document,
)
from builder.release.files import read_regular
from builder.release.layout import REF_NAME, Layout
from builder.release.release import LARGEST_DOCUMENT, Blob, Release, parse_attachment, parse_release

FILES = {"model.tflite": b"TFL3", "labels.txt": b"raccoon\n"}
DIGEST = digest_bytes(b"x")


def added(layout: Layout, *versions: str) -> list[Release]:
    return [layout.add("raccoon", version, {**FILES, "v": version.encode()}, {})[0] for version in versions]


def to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def to_file(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"TFL3")
    path.symlink_to(other)


KINDS: list[Callable[[Path], Any]] = [to_device, to_file, os.mkfifo, os.mkdir]


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_blobs(tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    layout = Layout(tmp_path / "mirror")
    (release,) = added(layout, "1.0.0")
    blob = Blob(*release.files["model.tflite"])
    path = layout.blob_path(blob.digest)
    path.unlink()
    kind(path)
    for attempt in (
        lambda: layout.blob(blob),
        lambda: layout.blob(Blob(blob.digest, 0)),
        lambda: copy_blob(path, tmp_path / "copy", blob),
        lambda: check_file(path, blob),
        lambda: layout.document(blob.digest),
    ):
        with pytest.raises(IntegrityError, match="not a regular file"):
            attempt()


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_regular_file_is_an_index(tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    kind(tmp_path / "index.json")
    with pytest.raises(IntegrityError, match="not a regular file"):
        Layout(tmp_path).releases()


def test_a_layout_may_lie_behind_a_link(tmp_path: Path) -> None:
    (release,) = added(Layout(tmp_path / "there"), "1.0.0")
    (tmp_path / "here").symlink_to("there")
    layout = Layout(tmp_path / "here")
    assert layout.read(layout.find("raccoon"), "labels.txt") == b"raccoon\n"
    added(layout, "1.1.0")
    assert offer_in(layout, release).release == release


def test_a_link_in_place_of_a_blob_is_replaced_and_of_the_lock_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "mirror")
    (release,) = added(layout, "1.0.0")
    path = layout.blob_path(release.files["labels.txt"][0])
    path.unlink()
    to_device(path)
    added(layout, "1.0.1")
    assert path.read_bytes() == b"raccoon\n"
    assert not path.is_symlink()
    (tmp_path / "precious").write_text("precious")
    (layout.root / ".lock").unlink()
    (layout.root / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreUnreachable):
        added(layout, "1.0.2")
    assert (tmp_path / "precious").read_text() == "precious"


def test_more_bytes_than_a_blob_has_are_not_copied(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    with pytest.raises(IntegrityError, match="other bytes"):
        copy_blob(tmp_path / "large", tmp_path / "copy", Blob(digest_bytes(b""), 0))
    assert (tmp_path / "copy").stat().st_size < 3 << 20
    with pytest.raises(IntegrityError, match="larger than 9 bytes"):
        read_regular(tmp_path / "large", 9)


@pytest.mark.parametrize(
    ("size", "says"), [(LARGEST_DOCUMENT + 1, "larger than"), (-1, "a size of"), (True, "a size"), (1e9, "a size of")]
)
def test_an_entry_of_an_odd_size_is_not_read(tmp_path: Path, size: Any, says: str) -> None:
    layout = Layout(tmp_path)
    (release,) = added(layout, "1.0.0")
    with layout.blob_path(release.digest).open("ab") as stream:
        stream.truncate(LARGEST_DOCUMENT + 1)
    index = json.loads((tmp_path / "index.json").read_bytes())
    index["manifests"][0]["size"] = size
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(IntegrityError, match=says):
        layout.releases()


def test_the_order_of_the_index_says_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    added(layout, "1.9.0", "1.10.0", "2.0.0-rc.1")
    index = json.loads((tmp_path / "index.json").read_bytes())
    for _ in range(3):
        index["manifests"].append(index["manifests"].pop(0))
        (tmp_path / "index.json").write_text(json.dumps(index))
        assert layout.find("raccoon").version == "1.10.0"
        assert layout.find("raccoon@2.0.0-rc.1").version == "2.0.0-rc.1"
        assert find_in(layout, "raccoon", Named()).release.version == "1.10.0"
        assert find_in(layout, "raccoon", Named(), {"1.9.0", "2.0.0-rc.1"}).release.version == "1.9.0"


def test_pulling_an_older_version_again_does_not_make_it_the_newest(tmp_path: Path) -> None:
    mirror, own = Layout(tmp_path / "mirror"), Layout(tmp_path / "own")
    added(mirror, "1.9.0", "1.10.0")
    for version in ("1.9.0", "1.10.0", "1.9.0"):
        with copying(mirror) as fetch:
            into_layout(offer_in(mirror, mirror.find(f"raccoon@{version}")), own, fetch)
    assert own.find("raccoon").version == "1.10.0"


def refer(layout: Layout, release: Release, *manifests: bytes) -> None:
    """Lists ``manifests`` as attached to ``release``, whatever they are."""
    index = referrers_document([attachment_entry(data, "x", "y") for data in manifests])
    for data in (*manifests, index, EMPTY):
        layout.blob_path(digest_bytes(data)).write_bytes(data)
    entry = {**descriptor(INDEX_TYPE, digest_bytes(index), len(index))}
    listed = json.loads((layout.root / "index.json").read_bytes())
    listed["manifests"].append({**entry, "annotations": {REF_NAME: referrers_tag(release.digest)}})
    (layout.root / "index.json").write_bytes(canonical_json(listed))


def attached(release: Release, data: bytes = b"{}", artifact_type: str = "text/plain") -> dict[str, Any]:
    subject = descriptor(MANIFEST_TYPE, release.digest, release.size)
    found: dict[str, Any] = json.loads(attachment_document(subject, "text/plain", "note", data))
    return {**found, "artifactType": artifact_type}


@pytest.mark.parametrize("size", ["1e999", "1e1", "-1", "true", str(1 << 70), "NaN"])
def test_a_config_of_an_odd_size(tmp_path: Path, size: str) -> None:
    layout = Layout(tmp_path)
    (release,) = added(layout, "1.0.0")
    document = attached(release)
    document["config"]["size"] = 424242
    refer(layout, release, json.dumps(document).replace("424242", size).encode())
    with pytest.raises(IntegrityError, match="no config"):
        offer_in(layout, release)


@pytest.mark.parametrize("artifact_type", ["\ud800", "", "a b", "é", "a\x1b[31m", "a" * 256])
def test_a_type_that_is_no_media_type(tmp_path: Path, artifact_type: str) -> None:
    (release,) = added(Layout(tmp_path), "1.0.0")
    data = json.dumps(attached(release, artifact_type=artifact_type)).encode()
    with pytest.raises(IntegrityError, match="a type of"):
        parse_attachment(data, release.digest)


def test_attachments_have_a_budget_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    (release,) = added(layout, "1.0.0")
    for number in range(4):
        layout.attach(release, "text/plain", "note", bytes([number]) * 5000)
    assert len(offer_in(layout, release).attached) == 4
    monkeypatch.setattr(offer.Budget.__init__, "__defaults__", (15_000,))
    with pytest.raises(IntegrityError, match="more than 15,000 bytes"):
        offer_in(layout, release)


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "\ud800", "\x9b31m", "a\rb", "a\tb", 1, None, "a" * 70_000])
def test_a_text_about_a_release_that_cannot_be_shown(text: Any) -> None:
    data, _ = release_document("raccoon", "1.0.0", {"a": (DIGEST, 1)}, {})
    for said in ({DESCRIPTION: text}, {str(text): "x"} if isinstance(text, str) else {"x": text}):
        document = json.loads(data)
        document["annotations"].update(said)
        with pytest.raises(IntegrityError, match=r"annotation|surrogates"):
            parse_release(json.dumps(document).encode())


def test_a_text_of_several_lines_is_fine() -> None:
    data, _ = release_document("raccoon", "1.0.0", {"a": (DIGEST, 1)}, {DESCRIPTION: "Ein Waschbär,\nim Garten 🦝"})
    assert parse_release(data).annotations[DESCRIPTION].endswith("🦝")


@pytest.mark.parametrize("more", [":other@1.0.0", ":raccoon@9.0.0", ":raccoon@^1", "@sha256:" + "0" * 64, ":other"])
def test_a_reference_that_contradicts_the_release_pushed_to_it(tmp_path: Path, more: str) -> None:
    layout = Layout(tmp_path)
    (release,) = added(layout, "1.0.0")
    place = parse_reference(f"./mirror{more}")
    assert isinstance(place, Folder)
    with pytest.raises(UsageError):
        check_folder(place, offer_in(layout, release))


@pytest.mark.parametrize("more", ["", ":raccoon", ":raccoon@1.0.0", ":raccoon:1.0.0", "@1.0.0"])
def test_a_reference_that_agrees_with_it(tmp_path: Path, more: str) -> None:
    layout = Layout(tmp_path)
    (release,) = added(layout, "1.0.0")
    place = parse_reference(f"./mirror{more}")
    assert isinstance(place, Folder)
    check_folder(place, offer_in(layout, release))


def test_what_a_killed_pull_left_is_swept_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "_FRESH", 0.0)
    layout = Layout(tmp_path / "mirror")
    (release,) = added(layout, "1.0.0")
    killed, used, foreign = (tmp_path / f".tinsmith-pull-{name}" for name in ("killed", "used", "foreign"))
    for folder in (killed, used, foreign):
        folder.mkdir()
        (folder / "half").write_bytes(b"half")
    (killed / "held.lock").touch()
    with (used / "held.lock").open("w") as handle, copying(layout) as fetch:
        fcntl.flock(handle, fcntl.LOCK_EX)
        into_folder(offer_in(layout, release), tmp_path / "app", fetch)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] == ".") == [foreign.name, used.name]


Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def tinsmith(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tinsmith", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0), *capsys.readouterr()

    return run


def test_releases_without_a_model_are_listed_and_shown(tinsmith: Run, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    layout.add("odd", "1.0.0", {"readme": b""}, {})
    layout.add("whole", "1.0.0", FILES, {})
    status, out, _ = tinsmith("list")
    assert status == 0
    assert [line.split()[0:2] for line in out.splitlines()] == [["odd@1.0.0", "-"], ["whole@1.0.0", "0.000"]]
    status, out, _ = tinsmith("show", "odd")
    assert status == 0
    assert "licence -\n" in out
    assert "metrics -\n" in out
    status, out, _ = tinsmith("show", "odd", "--json")
    assert (status, json.loads(out)["metrics"]) == (0, None)


@pytest.mark.parametrize(
    "metrics",
    [b"[]", b"{}", b"", b"[" * 100_000, b'{"images":1e999}', b'{"images":1,"constant_baseline":3}'],
)
def test_odd_metrics_are_an_integrity_error(tinsmith: Run, tmp_path: Path, metrics: bytes) -> None:
    Layout(tmp_path / "releases").add("odd", "1.0.0", {"metrics.json": metrics}, {})
    status, _, err = tinsmith("show", "odd")
    assert (status, err) == (7, "error[integrity]: metrics.json of odd@1.0.0 cannot be read\n")


def test_facts_of_a_run_with_an_endless_number(tinsmith: Run, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    release, _ = layout.add("odd", "1.0.0", {"a": b""}, {})
    facts = b'{"latency":{"latency_ms":{"median":1},"threads":1e999,"cpu":"x"}}'
    layout.attach(release, "application/vnd.tinsmith.run.v1+json", "run.json", facts)
    status, _, err = tinsmith("show", "odd")
    assert (status, err) == (
        7,
        "error[integrity]: the run.json of odd@1.0.0 cannot be read: cannot convert float infinity to integer\n",
    )


def test_an_error_does_not_steer_the_terminal(tinsmith: Run) -> None:
    status, _, err = tinsmith("show", "\x1b]0;owned\x07\ud800")
    assert status == 2
    assert err.splitlines()[0].endswith("has no release '?]0;owned??'")
