"""The golden files: the keys that the shipped manifests plan to, beside this file.

``make golden`` writes them anew. Their diff in a review shows which steps a change makes run again.
"""

from __future__ import annotations

import json
from pathlib import Path

from builder.cli.load import load_planned
from builder.plan.make import plan_document

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent


def manifests() -> list[Path]:
    return sorted((ROOT / "manifests").glob("*.yaml"))


def golden_of(path: Path) -> Path:
    return GOLDEN / f"{path.stem}.plan.json"


def document(path: Path) -> str:
    (planned,) = load_planned([path])
    plans = [plan_document(plan) for plan in planned.plans]
    return json.dumps(plans[0] if len(plans) == 1 else plans, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    for path in manifests():
        golden_of(path).write_text(document(path))
        print(golden_of(path))
