"""Ingest of the real photographs, by the real step: nothing rejected, the split as locked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT
from tests.integration.partly import Partly

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


def test_the_photographs_have_the_locked_content_and_are_ingested_whole(photographs: Path, tmp_path: Path) -> None:
    ingested = Partly("ingest", ROOT / "manifests/raccoon-025.yaml", tmp_path, overrides={"raccoon": photographs})

    def document(path: str) -> dict[str, object]:
        return dict(json.loads(ingested.read("ingest", path)))

    report, split = document("report.json"), document("split.json")
    assert (report["accepted"], report["rejected"]) == (200, [])
    train, held_out = (
        {item["sha256"] for item in split[part]["images"]}  # type: ignore[index]
        for part in ("train", "eval")
    )
    assert len(split["eval"]["images"]) == 40  # type: ignore[index]
    assert not train & held_out
