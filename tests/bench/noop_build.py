"""``python -m tests.bench.noop_build``: ``tinsmith build`` with nothing to do, beside ``dvc repro`` on equal stages.

The stages have the names, order, code files and outputs of the steps of a small model that was built, and copy the
outputs when they run. Both commands run in turn, ten times each; the medians are compared.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.digest import hex_of, parse_digest
from builder.resources import steps_folder
from tests.bench import peers
from tests.integration.conftest import TINSMITH, environment, project

RUNS = 10
LEAST_RATIO = 2.0


def stages(folder: Path, root: Path) -> None:
    """A repository in ``folder`` with a DVC stage for each step of the build in ``root``."""
    (plan,) = [json.loads(project_plan(root))]
    made, code = root / "made", folder / "code"
    shutil.copytree(steps_folder(), code, ignore=shutil.ignore_patterns("__pycache__"))
    found: dict[str, Any] = {}
    for step in plan["steps"]:
        target = made / step["name"]
        key = hex_of(parse_digest(step["key"]))
        for item in json.loads((root / f".tinsmith/store/results/{key}.json").read_bytes())["artifacts"]:
            path = target / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / ".tinsmith/store/blobs/sha256" / hex_of(parse_digest(item["digest"])), path)
        needed = [f"results/{item['step']}" for item in step["inputs"] if "step" in item]
        found[step["name"]] = {
            "cmd": f"cp -r {target} results/{step['name']}",
            "deps": [*needed, *(f"code/{name}" for name in step["code"])],
            "outs": [f"results/{step['name']}"],
        }
    (folder / "results").mkdir()
    (folder / "dvc.yaml").write_text(json.dumps({"stages": found}))


def project_plan(root: Path) -> str:
    """What ``plan --json`` says in ``root``."""
    command = [*TINSMITH, "plan", "manifests/tiny.yaml", "--json"]
    return subprocess.run(command, cwd=root, env=environment(), check=True, capture_output=True, text=True).stdout


def timed(command: Sequence[str], folder: Path, own: Mapping[str, str], said: str) -> float:
    """Seconds; the command must succeed and say ``said``."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=dict(own), check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode or said not in done.stdout + done.stderr or "started" in done.stderr:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return seconds


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tinsmith-bench-") as place:
        root, folder, home = (Path(place) / name for name in ("project", "dvc", "home"))
        for path in (root, folder, home):
            path.mkdir()
        project(root)("build", "manifests/tiny.yaml", "--engine", "local")
        stages(folder, root)
        own = peers.environment(home)
        for words in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"], ["dvc", "repro", "--quiet"]):
            subprocess.run(words, cwd=folder, env=own, check=True)
        ours, theirs = [*TINSMITH, "build", "manifests/tiny.yaml"], [str(peers.programs() / "dvc"), "repro"]
        seconds: dict[str, list[float]] = {"tinsmith build": [], "dvc repro": []}
        for _ in range(RUNS):
            seconds["tinsmith build"].append(timed(ours, root, environment(), "released"))
            seconds["dvc repro"].append(timed(theirs, folder, own, "up to date"))
    median = {name: statistics.median(runs) for name, runs in seconds.items()}
    print(f"nothing to do, {len(os.sched_getaffinity(0))} processors, median of {RUNS}")
    for name, runs in seconds.items():
        print(f"  {name:15} {median[name]:6.3f} s  ({min(runs):.3f} to {max(runs):.3f})")
    ratio = median["dvc repro"] / median["tinsmith build"]
    print(f"  tinsmith is {ratio:.1f} times as fast as dvc")
    return int(ratio < LEAST_RATIO)


if __name__ == "__main__":
    raise SystemExit(main())
