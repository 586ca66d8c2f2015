"""What a build or a release amounts to, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from builder.release.make import Built


def print_built(built: Sequence[tuple[Built, Path]], *, as_json: bool) -> None:
    """Size, mAP beside what constant answers get (one box a class, and several), latency, where the files lie."""
    if as_json:
        print(json.dumps([_document(made, folder) for made, folder in built], indent=2, sort_keys=True))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("release", "size", "mAP", "mAP@0.5", "constant box", "latency"):
        table.add_column(heading, justify="left" if heading == "release" else "right", no_wrap=True)
    for made, _ in built:
        released = made.metrics["stages"]["tflite_litert"]
        table.add_row(
            made.release.ref,
            f"{made.metrics['size'] / 1e6:.3f} MB",
            f"{released['map']:.3f}",
            f"{released['map50']:.3f}",
            f"{made.metrics['constant_baseline']['map50']:.3f}",
            f"{made.run['latency']['latency_ms']['median']:.1f} ms",
        )
    # Elsewhere than on a terminal nothing is cut: logs are searched for these figures.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for made, folder in built:
        state = "released" if made.new else "released before, the same bytes"
        console.print(f"\n{made.release.ref}: {state}", markup=False)
        several = made.metrics["constant_baseline"]["several_boxes"]["map50"]
        console.print(f"  mAP@0.5 of several constant boxes {several:.3f}")
        console.print(f"  latency on {made.run['latency']['cpu']}", markup=False, soft_wrap=True)
        console.print(f"  model   {folder / 'model.tflite'}", markup=False, soft_wrap=True)
        console.print(f"  picture {folder / 'detections.png'}", markup=False, soft_wrap=True)


def _document(made: Built, folder: Path) -> dict[str, object]:
    model = made.release.files["model.tflite"]
    return {
        "release": made.release.ref,
        "digest": made.release.digest,
        "new": made.new,
        "model": {"path": str(folder / "model.tflite"), "digest": model[0], "size": model[1]},
        "metrics": made.metrics,
        "latency": made.run["latency"],
    }
