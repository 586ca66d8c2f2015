"""``python -m tests.bench.makespan``: what ``plan --simulate`` predicts, beside what the cluster then takes.

A Dask scheduler and two ``tinsmith worker``s run here, each on a processor of its own, with a shared folder as store.
One small matrix is built so that its runs say what steps cost. Then, RUNS times, another matrix of other widths,
lengths and data is predicted and built. Measured is the time from the first step that begins to the last that ends.

The exit status is 1 if the median of the ratios is further from 1 than LIMIT: the machine must have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.settings import cache_folder
from tests.integration.conftest import TINSMITH, bases, environment, manifest

RUNS = 3
LIMIT = 0.2
WORKERS = 2
_MEMORY_MB = "3000"


@dataclass(frozen=True)
class Place:
    """A project on a cluster of its own. ``env`` is what every program finds."""

    folder: Path
    scheduler: str
    env: Mapping[str, str]

    def tinsmith(self, *words: str) -> str:
        """What the command prints; it must end with 0."""
        done = subprocess.run([*TINSMITH, *words], cwd=self.folder, env=dict(self.env), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"tinsmith {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def write(self, name: str, seed: int, depths: Sequence[float], steps: Sequence[int]) -> str:
        """A locked manifest with a variant for each depth and number of steps; its path."""
        path = f"manifests/{name}.yaml"
        data = f"""
  format: synthetic
  synthetic: {{images: {300 + seed}, size: [112, 112], objects: [1, 2], seed: {seed}}}
  classes: [circle, square, triangle]
  split: {{eval: 0.2, seed: 5}}"""
        matrix = f"""
  model.depth_multiplier: {list(depths)}
  train.steps: {list(steps)}"""
        text = manifest(name, dataset=data, matrix=matrix).replace("batch_size: 4", "batch_size: 8")
        text = text.replace("  depth_multiplier: 0.25\n", "").replace("  steps: 4\n", "")
        (self.folder / path).write_text(text)
        self.tinsmith("lock", path, *bases())
        return path

    def predicted(self, path: str) -> float:
        found = json.loads(self.tinsmith("plan", path, "--simulate", f"workers={WORKERS}", "--json"))
        if found["costs"]["predicted"]:
            raise SystemExit(f"never measured: {found['costs']['predicted']}")
        return float(found["makespan_seconds"])

    def built(self, path: str) -> tuple[float, float]:
        """Seconds from the first step's beginning to the last one's end, and of the whole command."""
        where = ("--engine", "dask", "--scheduler", self.scheduler, "--progress", "json")
        begun = time.monotonic()
        command = [*TINSMITH, "build", path, *where]
        process = subprocess.Popen(
            command, cwd=self.folder, env=dict(self.env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        seen: list[float] = []
        said: list[str] = []
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if line.startswith("{") and json.loads(line)["kind"] in ("preparing", "finished"):
                seen.append(time.monotonic())
        if process.wait():
            raise SystemExit("".join(said[-20:]))
        return seen[-1] - seen[0], time.monotonic() - begun


@contextmanager
def cluster(folder: Path) -> Iterator[Place]:
    port = 20000 + os.getpid() % 20000
    address, common = f"tcp://127.0.0.1:{port}", [sys.executable, "-m", "dask"]
    env = {**environment(), "TINSMITH_STORE": f"file://{folder / 'store'}"}
    processors = sorted(os.sched_getaffinity(0))[:WORKERS]
    if len(processors) < WORKERS:
        raise SystemExit(f"this takes {WORKERS} processors")
    (folder / "manifests").mkdir()
    with ExitStack() as stack:
        log = stack.enter_context((folder / "cluster.log").open("w"))

        def start(command: Sequence[str], name: str) -> None:
            # Each has a cache of its own, as on another machine, but for the toolchains.
            own = folder / name
            own.mkdir()
            (own / "toolchains").symlink_to(cache_folder() / "toolchains")
            process = subprocess.Popen(
                command,
                cwd=own,
                env={**env, "TINSMITH_CACHE": str(own)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(_end, process)

        start([*common, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], "scheduler")
        for processor in processors:
            words = ["worker", "--scheduler", address, "--engine", "local", "--memory", _MEMORY_MB]
            start(["taskset", "-c", str(processor), *TINSMITH, *words], f"worker-{processor}")
        _wait(address)
        yield Place(folder, address, env)


def _wait(address: str) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(WORKERS, timeout=60)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.makespan")
    parser.add_argument("--runs", type=int, default=RUNS)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="tinsmith-makespan-") as name, cluster(Path(name)) as place:
        seconds, whole = place.built(place.write("first", 1, (0.25,), (20, 60, 120)))
        print(f"measured costs on {WORKERS} workers, one processor each: {seconds:.0f} s of steps", flush=True)
        ratios = []
        for run in range(runs):
            path = place.write(f"run-{run}", 100 + run, (0.35,), (30 + run, 50 + run, 90 + run))
            predicted = place.predicted(path)
            seconds, whole = place.built(path)
            ratios.append(predicted / seconds)
            print(
                f"  predicted {predicted:6.1f} s   measured {seconds:6.1f} s   ratio {ratios[-1]:.2f}   "
                f"(the whole command {whole:.1f} s; load {os.getloadavg()[0]:.1f})",
                flush=True,
            )
    middle = statistics.median(ratios)
    print(f"median ratio {middle:.2f}; between {1 - LIMIT:g} and {1 + LIMIT:g} is wanted")
    return int(abs(middle - 1) > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
