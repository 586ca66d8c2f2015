"""``python -m tests.bench.many_manifests``: 10,000 manifests planned and compared, beside doit with nothing to do.

The manifests, each with its lock, are variations of one with a single model and of one with a matrix, in a git
repository. Its second commit changes every file and one plan in a hundred, so that ``changed`` has both sides to plan.
Cold is with nothing of tinsmith's in the cache; warm is the same command again. doit looks after as many files.

The exit status is 1 if a limit is missed: those of MOST_COLD, MOST_WARM and MOST_MEGABYTES. They are for 10,000 files
to plan; of ``changed`` over a matrix, which plans 20,000 files to 40,000 models, only the memory is judged.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from builder.lock.file import load_lock, lock_text
from builder.manifest.load import loads
from tests.bench import peers
from tests.bench.measured import Measured, measured
from tests.integration.conftest import ROOT, TINSMITH, environment

BASES = ("shapes", "shapes-width")
MOST_COLD, MOST_WARM, MOST_MEGABYTES = 10.0, 2.0, 500
RUNS = 3

_DODO = """
import pathlib
def done(targets):
    pathlib.Path(targets[0]).write_text("done")
def task_plan():
    for path in sorted(pathlib.Path("manifests").glob("*.yaml")):
        target = f"planned/{path.stem}"
        lock = path.with_suffix(".lock")
        yield {"name": path.stem, "file_dep": [str(path), str(lock)], "targets": [target], "actions": [done]}
"""


def write(folder: Path, base: str, count: int) -> None:
    """A git repository in ``folder`` with ``count`` variations of a manifest in two commits."""
    text = (ROOT / "manifests" / f"{base}.yaml").read_text()
    lock = load_lock(ROOT / "manifests" / f"{base}.lock")
    (folder / "manifests").mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    for commit, remark in (("first", ""), ("second", "# Looked over.\n")):
        for number in range(count):
            name = f"{base}-{number:05d}"
            seed = number + count * (commit == "second" and number % 100 == 0)
            varied = text.replace(f"name: {base}\n", f"name: {name}\n").replace("seed: 1\n", f"seed: {seed + 1}\n")
            digest = loads(varied, name).digest
            path = folder / "manifests" / f"{name}.yaml"
            path.write_text(remark + varied)
            path.with_suffix(".lock").write_text(lock_text(lock.model_copy(update={"manifest_digest": digest})))
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--message", commit)


def _git(folder: Path, *words: str) -> None:
    named = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *named, *words], cwd=folder, check=True)


def cold_and_warm(folder: Path, words: list[str]) -> tuple[Measured, Measured]:
    """Of a tinsmith command, the medians by time of RUNS runs each."""
    cache = folder / "cache"
    own: Mapping[str, str] = {**environment(), "TINSMITH_CACHE": str(cache), "TINSMITH_STATE": str(folder / "state")}
    cold, warm = [], []
    for _ in range(RUNS):
        shutil.rmtree(cache, ignore_errors=True)
        cold.append(measured([*TINSMITH, *words], folder, own))
        warm.append(measured([*TINSMITH, *words], folder, own))
    return _median(cold), _median(warm)


def doit(folder: Path) -> Measured:
    """With nothing to do, in ``folder``."""
    (folder / "dodo.py").write_text(_DODO)
    (folder / "planned").mkdir(exist_ok=True)
    own, command = peers.environment(folder), [str(peers.programs() / "doit"), "run", "--verbosity", "0"]
    measured(command, folder, own)
    runs = [measured(command, folder, own) for _ in range(RUNS)]
    assert all(b"-- plan:" in run.output and b".  plan:" not in run.output for run in runs), "doit had something to do"
    return _median(runs)


def _median(runs: list[Measured]) -> Measured:
    middle = statistics.median_low(run.seconds for run in runs)
    return next(run for run in runs if run.seconds == middle)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifests", type=int, default=10_000)
    count, late = parser.parse_args().manifests, False
    for base in BASES:
        with tempfile.TemporaryDirectory(prefix="tinsmith-bench-") as place:
            folder = Path(place)
            write(folder, base, count)
            peer = doit(folder)
            print(f"{count:,} variations of {base}.yaml, {len(os.sched_getaffinity(0))} processors")
            print(f"  doit with nothing to do   {peer}", flush=True)
            for words in (["plan", "manifests"], ["changed", "--since", "HEAD~1"]):
                cold, warm = cold_and_warm(folder, words)
                if base == BASES[0] or words[0] == "plan":
                    late |= cold.seconds > MOST_COLD or warm.seconds > MOST_WARM
                late |= max(cold.megabytes, warm.megabytes) > MOST_MEGABYTES
                ratio = warm.seconds / peer.seconds
                print(f"  tinsmith {words[0]:8} cold {cold}   warm {warm}, {ratio:.2f} of doit's time", flush=True)
    return int(late)


if __name__ == "__main__":
    raise SystemExit(main())
