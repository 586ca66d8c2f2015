"""Photographs for the training benchmarks, as ingest leaves them."""

from __future__ import annotations

from pathlib import Path

from tests.bench.jpegs import made_photographs
from tests.bench.toolchain import run

_INGEST = """
import json, sys
import tensorflow
import contract, ingest
contract.emit = lambda *a, **k: None
settings = {"format": "voc", "images": "images", "annotations": "annotations", "classes": [sys.argv[3]],
            "split": {"eval": 0.2, "seed": 7}}
ingest.main(contract.Request("ingest", {"dataset": settings}, {"source": sys.argv[1]}, sys.argv[2], 2, "n"))
print(json.dumps(None))
"""


def ingested(source: str | None, label: str, scratch: str) -> Path:
    """The outputs of ingest for a Pascal VOC folder (``images``, ``annotations``) with objects called ``label``, below
    ``scratch``; for made photographs without a ``source``."""
    folder = source or made_photographs(scratch, 200)[0]
    data = Path(scratch, "data")
    data.mkdir()
    run(_INGEST, str(Path(folder).resolve()), str(data), label if source else "thing")
    return data
