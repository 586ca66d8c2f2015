"""``python -m tests.bench.registry_speed``: a release to a registry on this machine and back, beside ``skopeo copy``.

Both run as commands, in turn, each with a new registry and new bytes; the medians of all runs are compared.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from builder.release.layout import Layout
from tests.integration.conftest import TINSMITH, environment
from tests.registries import contents, running

SHARES = {"checkpoint/model.ckpt.data": 0.55, "model.tflite": 0.25, "golden/pictures": 0.15, "recipe.tar": 0.05}
"""Of the bytes of the release, by file; as in a release of a small network with its checkpoint."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    seconds: dict[str, list[tuple[float, float]]] = {"tinsmith": [], "skopeo": []}
    for number in range(asked.runs):
        for tool in sorted(seconds, reverse=bool(number % 2)):
            seconds[tool].append(_run(tool, asked.megabytes))
            push, pull = seconds[tool][-1]
            print(f"run {number + 1}  {tool:9} push {push:6.2f} s  pull {pull:6.2f} s", flush=True)
    whole = {tool: statistics.median(push + pull for push, pull in runs) for tool, runs in seconds.items()}
    for tool, runs in seconds.items():
        push, pull = (statistics.median(run[part] for run in runs) for part in (0, 1))
        rate = 2 * asked.megabytes / whole[tool]
        print(f"{tool:9} push {push:6.2f} s  pull {pull:6.2f} s  both {whole[tool]:6.2f} s  {rate:6.0f} MB/s")
    print(f"tinsmith has {whole['skopeo'] / whole['tinsmith']:.2f} of skopeo's rate")


def _run(tool: str, megabytes: int) -> tuple[float, float]:
    """(push, pull) in seconds."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-bench-") as root:
        folder = Path(root)
        layout = Layout(folder / "releases")
        chance = random.Random(os.urandom(8))
        files = {title: chance.randbytes(round(share * megabytes * 1e6)) for title, share in SHARES.items()}
        small = {"labels.txt": b"raccoon\n", "metadata.json": b"{}", "metrics.json": b"{}"}
        layout.add("raccoon", "1.0.0", {**files, **small}, {})
        del files
        (folder / "registry").mkdir()
        os.sync()
        with running(folder / "registry") as registry:
            place = f"{registry.host}/models/raccoon:1.0.0"
            if tool == "tinsmith":
                push = [*TINSMITH, "push", "raccoon@1.0.0", place]
                pull = [*TINSMITH, "pull", place, "--releases", "back", "--allow-unsigned"]
            else:
                push = _copy("oci:releases:raccoon:1.0.0", f"docker://{place}", "--dest-tls-verify=false")
                pull = _copy(f"docker://{place}", "oci:back:raccoon:1.0.0", "--src-tls-verify=false")
            times = _seconds(push, folder), _seconds(pull, folder)
        if contents(Layout(folder / "back")) != contents(layout):
            raise SystemExit(f"{tool} brought back something else")
        return times


def _copy(source: str, target: str, option: str) -> list[str]:
    return ["skopeo", "--insecure-policy", "copy", "--quiet", option, source, target]


def _seconds(command: Sequence[str], folder: Path) -> float:
    begun = time.perf_counter()
    own = {"TINSMITH_CACHE": str(folder / "cache"), "TINSMITH_STATE": str(folder / "state")}
    subprocess.run(command, cwd=folder, env={**environment(), **own}, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
