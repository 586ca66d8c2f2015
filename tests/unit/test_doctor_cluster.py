"""What ``tinsmith doctor`` says of a cluster."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli.doctor import doctor

DASK = f"Dask {importlib.metadata.version('distributed')}"


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    settings = tmp_path / "tinsmith.toml"
    settings.write_text('[cluster]\nscheduler = "tcp://head:8786"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TINSMITH_SCHEDULER", raising=False)
    monkeypatch.setenv("TINSMITH_SETTINGS", str(settings))
    monkeypatch.setattr("builder.engine.select.describe_engines", list)

    def line() -> str:
        doctor()
        (found,) = (text for text in capsys.readouterr().out.splitlines() if text.startswith("cluster "))
        return found.removeprefix("cluster").strip()

    return line


def test_the_scheduler_of_the_settings(said: Callable[[], str], tmp_path: Path) -> None:
    assert said() == f"{DASK}, scheduler tcp://head:8786 ({tmp_path / 'tinsmith.toml'})"


def test_the_scheduler_of_the_variable(said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_SCHEDULER", "tcp://other:1")
    assert said() == f"{DASK}, scheduler tcp://other:1 (TINSMITH_SCHEDULER)"


def test_no_scheduler(said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_SETTINGS", "")
    assert said() == f"{DASK}; no scheduler is set"


def test_a_settings_file_with_a_mistake(said: Callable[[], str], tmp_path: Path) -> None:
    (tmp_path / "tinsmith.toml").write_text("[cluster]\nshed = 1\n")
    assert said() == f"{DASK}; {tmp_path / 'tinsmith.toml'}:2: no setting is called 'cluster.shed'"


def test_nothing_installed(said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert said() == "not installed: pip install 'tinsmith[cluster]'"
