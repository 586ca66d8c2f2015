"""Pushes of names, paths and trees that lead elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import UsageError
from builder.hook.files import checked
from builder.hook.job import reads_outside
from tests.hook.server import Server
from tests.repositories import ROOT


def test_hostile_names_of_files_and_branches(server: Server) -> None:
    odd = "manifests/$(touch pwned) ;\x1b[31m\n--help.yaml"
    server.clone.manifest("odd", path=odd)
    server.clone.manifest("dash", path="manifests/--output=x.yaml")
    (server.clone.folder / "link").symlink_to("/etc/passwd")
    (server.clone.folder / "manifests/linked.yaml").symlink_to("/etc/passwd")
    server.clone.write(".gitattributes", "*.yaml export-ignore filter=x\nwords export-subst\n")
    server.clone.write("words", "$Format:%H$")
    server.clone.commit()
    branch = "$(touch;`pwned`"
    server.install("--branch", branch, "--branch", "main", "--manifests", "manifests")
    server.clone.git("branch", branch)
    said = server.push("origin", "main", branch)
    assert "\x1b" not in said.replace("\x1b[K", "")
    done = server.work()
    assert [job.state for job in done] == ["done", "done"]
    assert f"build {odd.removeprefix('manifests/')}" in server.built()
    tree = server.trees[0]
    assert tree["words"] == "$Format:%H$"
    assert "link" not in tree
    assert "manifests/linked.yaml" not in tree
    log = server.place.log(1).read_text()
    assert "\x1b" not in log
    assert "left out: 2 links and submodules" in log
    assert not list(server.bare.folder.rglob("pwned"))


@pytest.mark.parametrize("path", ["../x", "/x", "a/../x", ".git/config", "a//b", "", "a/.git/hooks/x", "./x"])
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(UsageError):
        checked(path)
    assert checked("a/..b/.gitx") == "a/..b/.gitx"


def test_a_tree_that_leads_elsewhere_fails_its_job(server: Server) -> None:
    """git makes no such tree, but takes one that is pushed unless it is told to check."""
    (server.clone.folder / "evil").write_text("x")
    blob = server.clone.git("hash-object", "-w", "evil")
    good = server.clone.git("rev-parse", "main^{tree}")
    manifests = server.clone.git("rev-parse", "main:manifests")
    entries = b"40000 manifests\0" + bytes.fromhex(manifests)
    inner = b"100644 evil\0" + bytes.fromhex(blob)
    up = server.clone.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=inner)
    data = b"40000 ..\0" + bytes.fromhex(up) + entries
    tree = server.clone.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=data)
    assert tree != good
    commit = server.clone.git("commit-tree", tree, "-m", "evil")
    server.clone.git("push", "--quiet", "origin", f"{commit}:refs/heads/main")
    (job,) = server.work()
    assert job.state == "failed"
    assert "which is nowhere" in job.said[0]
    assert server.built() == []


def test_data_are_those_of_the_commit_or_fetched(tmp_path: Path) -> None:
    """A digest is no proof of having the data: a release of them would show their pictures."""
    (tmp_path / "manifests").mkdir()
    text = (ROOT / "manifests" / "raccoon-025.yaml").read_text()
    start, end = text.index("    git: https"), text.index("  images: images")
    for path, found in (
        ("../data", None), ("data", None), ("../data/../data", None),
        ("../../data", "../../data"), ("../data/../../x", "../data/../../x"), ("../..", "../.."),
    ):  # fmt: skip
        (tmp_path / "manifests" / "a.yaml").write_text(f"{text[:start]}    path: {path}\n{text[end:]}")
        assert reads_outside(tmp_path, "manifests/a.yaml") == found
