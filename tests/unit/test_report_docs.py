"""The commands of docs/report.md, run one after the other with a fake engine, say what the page says."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

import builder.cli
from builder.engine import select
from tests.fakes import FakeEngine
from tests.golden.write import ROOT
from tests.unit.small_release import MANIFEST, work

PAGE = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifests").mkdir()
    for path in (MANIFEST, MANIFEST.with_suffix(".lock")):
        shutil.copy(path, tmp_path / "manifests")
    monkeypatch.setattr(select, "choose", lambda *of: FakeEngine(work))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(words: str) -> str:
        if words.startswith("head -n 5 "):
            return "\n".join(Path(words.split()[-1]).read_text().splitlines()[:5])
        monkeypatch.setattr(sys, "argv", shlex.split(words))
        with pytest.raises(SystemExit):
            builder.cli.main()
        captured = capsys.readouterr()
        return captured.out + captured.err

    commands = [part.split("\n", 1) for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(commands) == 4
    for number, (words, says) in enumerate(commands):
        if number == 2:
            path = tmp_path / "manifests" / "shapes.yaml"
            text = path.read_text().replace("version: 1.0.0", "version: 1.1.0")
            path.write_text(text.replace("min_map50: 0.80", "min_map50: 0.99"))
            run("tinsmith lock manifests/shapes.yaml")
        pattern = re.escape(says.strip()).replace("…", ".*")
        assert re.search(rf"^{pattern}", run(words), re.DOTALL | re.MULTILINE), words


def test_every_file_that_the_page_names_is_written() -> None:
    from builder.report.write import CARD, TWIN
    from builder.report.write import PAGE as HTML

    assert re.findall(r"^\| `([a-z.]+)` \|", PAGE, re.MULTILINE) == [HTML, TWIN, CARD]
