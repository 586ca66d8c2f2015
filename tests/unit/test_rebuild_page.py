"""The commands of docs/rebuild.md, run one after the other with a fake engine, say what the page says."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import builder.cli
from builder.engine import select
from builder.engine.base import Workspace
from builder.plan.step import Step
from builder.rebuild import permission
from tests.fakes import FakeEngine
from tests.golden.write import ROOT
from tests.unit.small_release import MANIFEST, changed, work

PAGE = (ROOT / "docs" / "rebuild.md").read_text(encoding="utf-8")
EXAMPLES = [block.split("\n", 1) for block in re.findall(r"```console\n\$ tinsmith (.*?)```", PAGE, re.DOTALL)]


def other_bytes(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
    return {**work(step, workspace), "params.json": b"other"}


def test_the_examples_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifests").mkdir()
    for path in (MANIFEST, MANIFEST.with_suffix(".lock")):
        shutil.copy(path, tmp_path / "manifests")
    engine = FakeEngine(work)
    monkeypatch.setattr(select, "choose", lambda *of: engine)
    monkeypatch.setattr(permission, "unisolated", lambda *of: iter(()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def tinsmith(words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["tinsmith", *shlex.split(words)])
        with pytest.raises(SystemExit) as caught:
            builder.cli.main()
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out + err[err.find("error[") :] if "error[" in err else out

    assert tinsmith("build manifests/shapes.yaml")[0] == 0
    rebuild, differs, build, show, same, edited = EXAMPLES
    for (words, says), status in ((rebuild, 0), (differs, 5), (build, 0), (show, 0), (same, 0), (edited, 0)):
        engine.work = changed("train", other_bytes) if status else work
        if says is edited[1]:
            path = tmp_path / "manifests" / "shapes.yaml"
            path.write_text(path.read_text().replace("  seed: 1\n", "  seed: 9\n"))
            assert tinsmith("lock manifests/shapes.yaml")[0] == 0
        found, said = tinsmith(words)
        assert found == status, said
        pattern = re.escape(says.strip()).replace("…", ".*")
        assert re.search(rf"^{pattern}", said, re.DOTALL | re.MULTILINE), said
