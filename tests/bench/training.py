"""Training speed beside the Object Detection API's own ``model_main``, in alternating runs on the same photographs.

Every way trains SSD MobileNet V2 at 300x300 on batches of 24 with its whole input pipeline: stock ``model_main`` with
the settings of its published configuration; this project's loop in TensorFlow's own operations, in those of
``tf1.15-mkl``, and with the kernels. Seconds are a step's wall clock, the median over the steps after the first five;
CPU seconds and peak memory are of the whole process.

    python -m tests.bench.training [--photographs FOLDER] [--depth 0.25] [--rounds 3] [--steps 25]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.jpegs import made_photographs
from tests.bench.toolchain import run

BATCH = 24
WAYS = ("model_main", "stock operations", "tf1.15-mkl", "kernels")
LEAST_RATIO = 4.0

_INGEST = """
import json, sys
import tensorflow
import contract, ingest
contract.emit = lambda *a, **k: None
settings = {"format": "voc", "images": "images", "annotations": "annotations", "classes": [sys.argv[3]],
            "split": {"eval": 0.2, "seed": 1}}
ingest.main(contract.Request("ingest", {"dataset": settings}, {"source": sys.argv[1]}, sys.argv[2], 2, "n"))
print(json.dumps(None))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", help="a Pascal VOC folder (images/, annotations/); made ones without it")
    parser.add_argument("--object", default="thing", help="the class in them")
    parser.add_argument("--depth", type=float, default=0.25)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=25)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = asked.photographs or made_photographs(scratch, 200)[0]
        data = Path(scratch, "data")
        data.mkdir()
        run(_INGEST, str(Path(source).resolve()), str(data), asked.object)
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for number in range(asked.rounds):
            for way in WAYS:
                found[way].append(measure(way, data, asked.depth, asked.steps))
                print(f"round {number + 1}: {way}: {found[way][-1]['seconds']:.3f} s a step", flush=True)
    print(f"depth {asked.depth}, 300x300, batch {BATCH}, medians of {asked.rounds} runs of {asked.steps} steps")
    stock = median(found["model_main"], "seconds")
    for way in WAYS:
        seconds, cpu = median(found[way], "seconds"), median(found[way], "cpu")
        print(
            f"{way:17} {seconds:6.3f} s a step  {BATCH / seconds:6.1f} images/s  {stock / seconds:5.2f} of model_main  "
            f"{cpu:6.3f} CPU s a step  {median(found[way], 'megabytes'):5.0f} MB"
        )
    ratio = stock / median(found["kernels"], "seconds")
    smaller = median(found["kernels"], "megabytes") <= median(found["model_main"], "megabytes")
    if asked.depth <= 0.25 and (ratio < LEAST_RATIO or not smaller):
        raise SystemExit(f"below the aim: {LEAST_RATIO} times model_main in no more memory")


def measure(way: str, folder: Path, depth: float, steps: int) -> dict[str, Any]:
    """``seconds`` and ``cpu`` seconds a step, ``megabytes`` at most, of one run."""
    script = Path(__file__).with_name("training_runs.py").read_text()
    toolchain = "tf1.15-mkl" if way == "tf1.15-mkl" else "tf1.15"
    found: dict[str, Any] = run(script, way, str(folder), str(depth), str(BATCH), str(steps), toolchain=toolchain)
    return found


def median(runs: list[dict[str, Any]], what: str) -> float:
    return statistics.median(run[what] for run in runs)


if __name__ == "__main__":
    main()
