"""Ingest of the real photographs, by the real step: nothing rejected, the split as locked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from builder.build import build
from builder.cli.load import load_planned
from builder.engine.local import LocalEngine
from builder.lock.model import LockedSource
from builder.lock.sources import source_opener
from builder.plan.step import Plan
from builder.store.disk import DiskStore
from tests.fakes import Events
from tests.integration.conftest import ROOT

pytestmark = [pytest.mark.toolchain, pytest.mark.photos]
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "raccoon"


@pytest.fixture
def photographs() -> Path:
    """The photographs beside the checkout. Skips where they are missing, or fails if TINSMITH_REQUIRE_PHOTOS is set."""
    if not PHOTOGRAPHS.is_dir():
        message = f"the raccoon photographs are not at {PHOTOGRAPHS}"
        if os.environ.get("TINSMITH_REQUIRE_PHOTOS"):
            pytest.fail(message)
        pytest.skip(message)
    return PHOTOGRAPHS


def no_release(locked: LockedSource) -> Path:
    raise AssertionError("a release was asked for")


def test_the_photographs_have_the_locked_content_and_are_ingested_whole(photographs: Path, tmp_path: Path) -> None:
    (planned,) = load_planned([ROOT / "manifests" / "raccoon-025.yaml"])
    events, store = Events(), DiskStore(tmp_path / "store")
    sources = source_opener(
        planned.family.only,
        planned.lock,
        planned.path,
        {"raccoon": photographs},
        tmp_path / "cache",
        events,
        no_release,
        store.write_bytes,
    )
    (plan,) = planned.plans
    ingest = Plan(plan.name, plan.version, plan.steps[:1], "ingest", plan.digest)
    results = build(ingest, code=planned.code, sources=sources, store=store, engine=LocalEngine, emit=events)

    def document(path: str) -> dict[str, object]:
        return dict(json.loads(store.read(results["ingest"].artifact(path).digest)))

    report, split = document("report.json"), document("split.json")
    assert (report["accepted"], report["rejected"]) == (200, [])
    train, held_out = (
        {item["sha256"] for item in split[part]["images"]}  # type: ignore[index]
        for part in ("train", "eval")
    )
    assert len(split["eval"]["images"]) == 40  # type: ignore[index]
    assert not train & held_out
