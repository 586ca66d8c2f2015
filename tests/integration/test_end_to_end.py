"""The whole way from a manifest to the files of a release, with real TensorFlow, in each engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT, TINSMITH, Run

pytestmark = pytest.mark.toolchain


def test_local_build_verifies_and_judges_an_untrained_model(
    tmp_path: Path, run: Run, tiny: Callable[..., Path]
) -> None:
    """A few steps of training give a constant answer: every step runs, the verdict is exit 5, and it is cached."""
    manifest = str(tiny())
    run("lock", manifest)
    done = run("build", manifest, "--engine", "local", status=5)
    assert "answer" in done.stderr
    for step in ("ingest", "train", "export", "convert", "infer", "verify", "measure", "package"):
        assert step in done.stderr
    assert not (tmp_path / "releases" / "index.json").exists()
    planned = json.loads(run("plan", manifest, "--json").stdout)
    assert {step["status"] for step in planned["steps"]} == {"cached"}


def digests(plan: str) -> dict[str, str]:
    return {step["name"]: step["key"] for step in json.loads(plan)["steps"]}


def outputs(store: Path, key: str) -> dict[str, str]:
    result = json.loads((store / "results" / f"{key.removeprefix('sha256:')}.json").read_bytes())
    return {item["path"]: item["digest"] for item in result["artifacts"]}


def start_build(tmp_path: Path, manifest: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TINSMITH, "build", manifest, "--engine", "local", "--progress", "json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "Ctrl-C"])
def test_a_stopped_training_goes_on_and_ends_in_the_same_weights(
    tmp_path: Path, run: Run, tiny: Callable[..., Path], kill: signal.Signals
) -> None:
    manifest = str(tiny(steps=30))
    run("lock", manifest)
    keys = digests(run("plan", manifest, "--json").stdout)
    build = start_build(tmp_path, manifest)
    checkpoints = tmp_path / ".tinsmith/store/work" / keys["train"].removeprefix("sha256:") / "out/checkpoints"
    assert build.stderr is not None
    for line in build.stderr:
        event = json.loads(line)
        training = event["step"] == "train" and event["kind"] == "progress"
        if training and checkpoints.is_dir() and any(checkpoints.iterdir()):
            break
        assert build.poll() is None
    time.sleep(0.5)
    os.kill(build.pid, kill)
    build.stderr.read()
    status = build.wait()
    assert status == (130 if kill == signal.SIGINT else -signal.SIGKILL)
    assert left_running(tmp_path) == []
    assert "goes on from its last checkpoint" in run("plan", manifest).stdout
    run("build", manifest, "--engine", "local", status=5)
    stopped = outputs(tmp_path / ".tinsmith/store", keys["train"])
    run("build", manifest, "--engine", "local", "--store", "other", status=5)
    assert stopped == outputs(tmp_path / "other", keys["train"])


def left_running(folder: Path) -> list[str]:
    """Command lines of processes that still work below ``folder``."""
    for _ in range(50):
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in words:
                found.append(words)
        if not found:
            return []
        time.sleep(0.2)
    return found
