"""The real TensorBoard reads what a training writes, while it runs and afterwards. It is asked as its pages ask it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from builder.store.workspaces import CHECKPOINTS
from tests.integration.training_step import TrainingStep

pytestmark = pytest.mark.toolchain
MANIFEST = "manifests/tiny.yaml"
_PATIENCE_SECONDS = 180.0


class TensorBoard:
    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **query: str) -> bytes:
        with urllib.request.urlopen(f"{self._address}/{path}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
            return bytes(answer.read())

    def tags(self, plugin: str) -> dict[str, set[str]]:
        """Run -> its tags."""
        found = json.loads(self.get(f"data/plugin/{plugin}/tags"))
        return {run: set(tags) for run, tags in found.items()}

    def curve(self, run: str, tag: str) -> dict[int, float]:
        """Step -> value; a step twice is a failure."""
        rows = json.loads(self.get("data/plugin/scalars/scalars", run=run, tag=tag))
        found = {step: value for _, step, value in rows}
        assert len(found) == len(rows)
        return found

    def pictures(self, run: str, tag: str) -> dict[int, bytes]:
        rows = json.loads(self.get("data/plugin/images/images", run=run, tag=tag, sample="0"))
        return {
            row["step"]: self.get("data/plugin/images/individualImage", **dict(urllib.parse.parse_qsl(row["query"])))
            for row in rows
        }


@contextmanager
def tensorboard(folder: Path, log: Path, *, fast: bool) -> Iterator[TensorBoard]:
    """Of the files below ``folder``, read anew every second, with the usual fast reader or that of Python alone."""
    words = ["--logdir", folder, "--host", "127.0.0.1", "--port", "0", "--reload_interval=1"]
    words.append(f"--load_fast={str(fast).lower()}")
    with (
        log.open("w") as stream,
        subprocess.Popen([sys.executable, "-m", "tensorboard.main", *words], stdout=stream, stderr=stream) as process,
    ):
        try:
            address = in_time(lambda: re.search(r" at (http://127\.0\.0\.1:\d+)", log.read_text()), log)
            yield TensorBoard(address[1])
        finally:
            process.terminate()


def in_time(ask: Callable[[], Any], log: Path) -> Any:
    """The answer of ``ask`` once it is true; AssertionError if it never is."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < end, f"{answer!r}\n{log.read_text()}"
        time.sleep(0.2)
    return answer


@pytest.mark.parametrize("fast", [True, False])
def test_it_shows_every_figure_and_the_looks_of_a_finished_training(built: Path, tmp_path: Path, fast: bool) -> None:
    training = built / "build" / "tiny-1.0.0" / "training"
    rows = [json.loads(line) for line in (training / "metrics.jsonl").read_text().splitlines()]
    log = tmp_path / "log"
    with tensorboard(training / "tensorboard", log, fast=fast) as board:
        expected_tags = {".": {name for row in rows for name in row} - {"step"}}
        # The fast reader shows what it has so far, and first nothing.
        runs = in_time(lambda: (found := board.tags("scalars")) == expected_tags and found, log)
        assert {"loss", "learning_rate", "map50"} <= runs["."]
        for tag in runs["."]:
            expected = {row["step"]: row[tag] for row in rows if tag in row}
            found = in_time(
                lambda tag=tag, size=len(expected): (it := board.curve(".", tag)) and len(it) == size and it, log
            )
            assert found == pytest.approx(expected, rel=1e-6), tag  # its numbers have 32 bits
        in_time(lambda: board.tags("images") == {".": {"looks"}}, log)
        assert board.pictures(".", "looks") == {rows[-1]["step"]: (training / "looks.png").read_bytes()}


def test_it_follows_a_training_that_is_killed_and_goes_on(built: Path, tmp_path: Path) -> None:
    training = TrainingStep(built, MANIFEST, tmp_path)
    output, log = tmp_path / "out", tmp_path / "log"
    # The folder that a build names when its training starts. Without TensorFlow the other reader never leaves a file
    # that is removed, as that of a stopped training is when it goes on.
    with tensorboard(output / CHECKPOINTS, log, fast=True) as board:
        training.run("out", stop=8)

        def loss() -> dict[int, float]:
            runs = board.tags("scalars")
            assert set(runs) <= {"events"}
            return board.curve("events", "loss") if runs else {}

        # Up to the last checkpoint at least, the sixth step's.
        first = in_time(lambda: (found := loss()) and max(found) >= 6 and found, log)
        assert list(first) == list(range(1, max(first) + 1))
        assert training.run("out").status == 0
        whole = in_time(lambda: (found := loss()) and max(found) == 12 and found, log)
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert whole == pytest.approx({row["step"]: row["loss"] for row in rows}, rel=1e-6)
