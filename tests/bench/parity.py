"""Whether training learns what ``model_main`` learns, step for step: several seeds of each, the same recipe.

Both train with the published losses, optimiser and augmentation and a cosine of the learning rate; their checkpoints
are scored alike, with batch-norm averages measured on the training pictures. Takes an hour or two. Prints a line a
checkpoint, with model_main's figures by its own averages beside them, and writes them to OUT/parity.json.

    python -m tests.bench.parity OUT --photographs FOLDER --object NAME [--seeds 3] [--steps 1000] [--size 192]
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from tests.bench.photographs import ingested
from tests.bench.training_speed import add_arguments, score, settings_of, train

WAYS = ("model_main", "kernels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "out", type=Path, help="a folder for what is trained; trainings that are there are not repeated"
    )
    add_arguments(parser)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    data = asked.out / "data"
    if not data.is_dir():
        ingested(asked.photographs, asked.object, str(asked.out))
    found: dict[str, list[list[dict[str, Any]]]] = {way: [] for way in WAYS}
    for seed in range(1, asked.seeds + 1):
        settings = settings_of(asked, asked.steps, asked.every, seed)
        for way in WAYS:
            found[way].append(measured(way, data, asked.out / f"{way}-{seed}", settings))
            last = found[way][-1][-1]
            print(f"seed {seed}: {way}: mAP {last['map']:.3f}, mAP@0.5 {last['map50']:.3f}", flush=True)
    (asked.out / "parity.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print("\n".join(lines(found)))


def measured(way: str, data: Path, out: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures of one training, a checkpoint each; trained and scored only once."""
    scores = out / "scores.json"
    if not scores.is_file():
        out.mkdir(exist_ok=True)
        train(way, data, out, settings)
        scores.write_text(json.dumps(score(data, out, settings)))
    rows: list[dict[str, Any]] = json.loads(scores.read_text())
    return rows


def lines(found: dict[str, list[list[dict[str, Any]]]]) -> list[str]:
    """Mean and standard deviation over the seeds at each checkpoint, and how far the means are apart."""
    told = []
    for at, row in enumerate(found["kernels"][0]):
        parts = [f"step {row['step']:5}"]
        for figure in ("map", "map50"):
            ours, theirs = ([rows[at][figure] for rows in found[way]] for way in ("kernels", "model_main"))
            spread = max(statistics.stdev(ours), statistics.stdev(theirs))
            apart = abs(statistics.mean(ours) - statistics.mean(theirs))
            parts.append(f"{figure}: ours {_told(ours)}, model_main {_told(theirs)}, {apart / spread:.1f} sd apart")
        as_is = [rows[at]["as_is"] for rows in found["model_main"]]
        parts.append("model_main as it stands: " + ", ".join(
            f"{name} {statistics.mean(row[name] for row in as_is):.3f}" for name in ("map", "map50")
        ))  # fmt: skip
        told.append("  ".join(parts))
    return told


def _told(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    main()
