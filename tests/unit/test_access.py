from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.engine.access import give


def test_a_file_that_goes_while_a_folder_changes_hands_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a container that outlived its engine renames a checkpoint: the engine's loss is what must be told."""
    for name in ("gone", "there"):
        (tmp_path / name).write_text("")
    given: list[str] = []

    def chown(path: Path, *_: int, follow_symlinks: bool) -> None:
        if path.name == "gone":
            raise FileNotFoundError(path)
        given.append(path.name)

    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "chown", chown)
    give(tmp_path, (65532, 65532))
    assert given == [tmp_path.name, "there"]
