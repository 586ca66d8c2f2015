"""Training speed beside the Object Detection API's own ``model_main``, in alternating runs on the same photographs.

Every way trains SSD MobileNet V2 on batches of 24 with its whole input pipeline, losses and augmentation of the
published configuration: stock ``model_main``; this project's loop in TensorFlow's own operations, in those of
``tf1.15-mkl``, and with the kernels. Seconds are a step's wall clock, the median over the steps after the first five;
CPU seconds and peak memory are of the whole process. Then one training of each with its mAP over time.

    python -m tests.bench.training_speed [--photographs FOLDER --object NAME] [--depth 0.25] [--rounds 3] [--steps 25]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.photographs import ingested
from tests.bench.toolchain import run

WAYS = ("model_main", "stock operations", "tf1.15-mkl", "kernels")
LEAST_RATIO = 4.0
RUNS, SCORES = Path(__file__).with_name("training_runs.py"), Path(__file__).with_name("scoring_runs.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--curve", type=int, default=120, help="steps of the trainings whose mAP is shown; 0 for none")
    asked = parser.parse_args()
    settings = settings_of(asked, asked.steps)
    with tempfile.TemporaryDirectory() as scratch:
        data = ingested(asked.photographs, asked.object, scratch)
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for number in range(asked.rounds):
            for way in WAYS:
                with tempfile.TemporaryDirectory() as out:
                    found[way].append(train(way, data, Path(out), settings))
                print(f"round {number + 1}: {way}: {found[way][-1]['seconds']:.3f} s a step", flush=True)
        print(f"depth {asked.depth}, {asked.size}x{asked.size}, batch {asked.batch}, medians of {asked.rounds} runs")
        print("\n".join(table(found, asked.batch)))
        if asked.curve:
            curves(data, settings_of(asked, asked.curve, every=max(1, asked.curve // 4)))
    ratio = median(found["model_main"], "seconds") / median(found["kernels"], "seconds")
    smaller = median(found["kernels"], "megabytes") <= median(found["model_main"], "megabytes")
    if asked.depth <= 0.25 and (ratio < LEAST_RATIO or not smaller):
        raise SystemExit(f"below the aim: {LEAST_RATIO} times model_main in no more memory")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photographs", help="a Pascal VOC folder (images/, annotations/); made ones without it")
    parser.add_argument("--object", default="thing", help="the class in them")
    parser.add_argument("--depth", type=float, default=0.25)
    parser.add_argument("--least", type=int, default=16, help="least channels of a layer")
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--base", type=float, default=0.008, help="learning rate, where its cosine begins")


def settings_of(asked: argparse.Namespace, steps: int, every: int | None = None, seed: int = 1) -> dict[str, Any]:
    """The settings of ``training_runs.py``."""
    chosen = {name: getattr(asked, name) for name in ("depth", "least", "size", "batch", "base")}
    return {**chosen, "steps": steps, "every": every, "seed": seed}


def train(way: str, data: Path, out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """``seconds`` and ``cpu`` seconds a step, ``megabytes`` at most, of one training."""
    toolchain = "tf1.15-mkl" if way == "tf1.15-mkl" else "tf1.15"
    found: dict[str, Any] = run(RUNS, way, str(data), str(out), json.dumps(settings), toolchain=toolchain)
    return found


def score(data: Path, out: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures of what ``train`` left in ``out``, a checkpoint each."""
    found: list[dict[str, Any]] = run(SCORES, str(data), str(out), json.dumps(settings))
    return found


def table(found: dict[str, list[dict[str, Any]]], batch: int) -> Iterator[str]:
    stock = median(found["model_main"], "seconds")
    for way, runs in found.items():
        seconds, cpu = median(runs, "seconds"), median(runs, "cpu")
        yield (
            f"{way:17} {seconds:6.3f} s a step  {batch / seconds:6.1f} images/s  {stock / seconds:5.2f} of model_main  "
            f"{cpu:6.3f} CPU s a step  {median(runs, 'megabytes'):5.0f} MB"
        )


def curves(data: Path, settings: dict[str, Any]) -> None:
    """Prints the mAP of both over the time that their steps took. Looking at them is not counted."""
    for way in ("model_main", "kernels"):
        with tempfile.TemporaryDirectory() as out:
            seconds = train(way, data, Path(out), settings)["seconds"]
            for row in score(data, Path(out), settings):
                print(
                    f"{way:17} after {row['step'] * seconds:6.0f} s, {row['step']:5} steps: "
                    f"mAP {row['map']:.3f}, mAP@0.5 {row['map50']:.3f}",
                    flush=True,
                )


def median(runs: list[dict[str, Any]], what: str) -> float:
    return statistics.median(run[what] for run in runs)


if __name__ == "__main__":
    main()
