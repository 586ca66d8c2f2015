"""Builds of two machines over one store: what the first has made, the second has."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.build import build
from builder.digest import digest_bytes
from builder.store.base import BuildStore, StepResult
from builder.store.cached import CachedStore
from builder.store.disk import DiskStore
from tests.fakes import Events, FakeEngine
from tests.store.places import Place, blob
from tests.unit.test_build import CODE, NONE, PLAN


def machine(place: Place, name: str) -> BuildStore:
    remote = place.open()
    return CachedStore(remote, DiskStore(place.scratch / name), 10**9)  # type: ignore[arg-type]


def run(store: BuildStore, source: Path, engine: FakeEngine) -> dict[str, StepResult]:
    sources = {NONE: source}.__getitem__
    return build(PLAN, code=CODE, sources=sources, store=store, engine=lambda: engine, emit=Events())


@pytest.mark.parametrize("place", ["folder", "s3"], indirect=True)
def test_a_step_runs_on_one_machine(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    (source / "a.jpg").write_bytes(b"jpeg")
    one, two = machine(place, "one"), machine(place, "two")
    first, engine = FakeEngine(), FakeEngine()
    made = run(one, source, first)
    assert first.ran == ["ingest", "train"]
    assert run(two, source, engine) == made
    assert engine.ran == []
    # A step whose files are gone from the store runs again, also where they are still in the cache.
    lost = made["ingest"].artifacts[0].digest
    place.remove(blob(lost))
    assert run(one, source, engine)["ingest"].artifacts == made["ingest"].artifacts
    assert engine.ran == ["ingest"]
    assert two.read(lost)
    assert two.has(lost)
    assert not two.has(digest_bytes(b"nobody's"))
